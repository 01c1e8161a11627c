// What samplers must do whatever the model: land on the picture, keep its distribution, and agree with one another.
import { describe, expect, test } from "vitest";
import { quantile, referenceStep, referenceThreshold } from "../../src/diffusion/reference.ts";
import { type SamplerOptions, stepCoefficients } from "../../src/diffusion/samplers.ts";
import { alphaSigma, cosineSchedule, discreteSchedule, type NoiseSchedule } from "../../src/diffusion/schedule.ts";
import type { Prediction } from "../../src/diffusion/step.ts";

const schedules: Record<string, NoiseSchedule> = {
  cosine: cosineSchedule,
  linear: discreteSchedule({ betaSchedule: "linear" }),
  squaredcos: discreteSchedule({ betaSchedule: "squaredcos_cap_v2" }),
  "zero-terminal-signal": discreteSchedule({ betaSchedule: "linear", rescaleBetasZeroSnr: true }),
};

const everySampler: SamplerOptions[] = [
  { sampler: "ddpm", steps: 12 },
  { sampler: "ddpm", steps: 12, variance: "fixed_large" },
  { sampler: "ddim", steps: 12 },
  { sampler: "ddim", steps: 12, etaDdim: 0.7, useClippedModelOutput: false },
  { sampler: "dpm-solver++", steps: 12 },
];

/** What an exact model of the prediction type says, given the x0 that it believes in. */
function predict(prediction: Prediction, schedule: NoiseSchedule, t: number, x: number, x0: number): number {
  const { alpha, sigma } = alphaSigma(schedule, t);
  const epsilon = (x - alpha * x0) / sigma;
  return { epsilon, x0, v: alpha * epsilon - sigma * x0 }[prediction];
}

/**
 * Standard deviation that a run reaches on pictures drawn from N(0, deviation^2), with the exact model, whose x0 is
 * linear in x. Such a run is linear too, so the response to the start and to each noise is followed, without drawing.
 */
function deviationReached(schedule: NoiseSchedule, options: SamplerOptions, deviation: number): number {
  const steps = stepCoefficients(schedule, "v", options);
  const start = alphaSigma(schedule, steps[0].timestep);
  let responses = [{ x: Math.hypot(start.alpha * deviation, start.sigma), x0: 0 }];
  for (const step of steps) {
    const { alpha, sigma } = alphaSigma(schedule, step.timestep);
    const trust = (alpha * deviation ** 2) / ((alpha * deviation) ** 2 + sigma ** 2);
    responses = responses.map(({ x, x0 }) => {
      const m = predict("v", schedule, step.timestep, x, trust * x);
      const next = referenceStep([x], [m], [x0], undefined, step, { kind: "none" });
      return { x: next.x[0], x0: next.x0[0] };
    });
    if (step.cn > 0) responses.push({ x: step.cn, x0: 0 });
  }
  return Math.hypot(...responses.map(({ x }) => x));
}

describe.each(Object.keys(schedules))("on the %s schedule", (name) => {
  const schedule = schedules[name];

  test.each(everySampler)("$sampler yields finite coefficients and ends on the predicted picture", (options) => {
    const steps = stepCoefficients(schedule, "v", options);
    expect(steps).toHaveLength(12);
    for (const step of steps) expect(Object.values(step).every(Number.isFinite)).toBe(true);
    expect(Math.abs(steps[0].c1)).toBe(0);
    const { cx, cm, c0, c1, cn } = steps[11];
    expect([cx, cm, c1, cn].map(Math.abs)).toEqual([0, 0, 0, 0]);
    expect(c0).toBeCloseTo(1, 10);
  });

  test.each(everySampler)("$sampler takes the same way whichever of noise, picture or v is predicted", (options) => {
    const clipped = { ...options, lambdaMinClipped: -5 };
    const ends = (["epsilon", "x0", "v"] as const).map((prediction) => {
      let x = 0.8;
      let x0: ArrayLike<number> | undefined;
      for (const step of stepCoefficients(schedule, prediction, clipped)) {
        const m = predict(prediction, schedule, step.timestep, x, Math.sin(2 * x));
        const next = referenceStep([x], [m], x0, [0.3], step, { kind: "none" });
        x = next.x[0];
        x0 = next.x0;
      }
      return x;
    });
    expect(ends[1]).toBeCloseTo(ends[0], 10);
    expect(ends[2]).toBeCloseTo(ends[0], 10);
  });

  test.each([0.3, 1, 2])("Gaussian pictures of deviation %f keep it as steps grow", (deviation) => {
    for (const options of [
      { sampler: "ddim" },
      { sampler: "ddim", etaDdim: 0.5 },
      { sampler: "dpm-solver++" },
      { sampler: "ddpm" },
      { sampler: "ddpm", variance: "fixed_large" },
    ] as const) {
      const [coarse, fine] = [30, 300].map((steps) =>
        Math.abs(deviationReached(schedule, { ...options, steps }, deviation) / deviation - 1),
      );
      expect(fine, JSON.stringify(options)).toBeLessThan(0.05);
      // Pictures as wide as the noise are kept exactly by some samplers at any step count.
      if (deviation !== 1) expect(fine, JSON.stringify(options)).toBeLessThan(coarse / 3);
    }
  });

  test("DDIM with all of the ancestral noise is DDPM", () => {
    const ddim = stepCoefficients(schedule, "v", { sampler: "ddim", steps: 20, etaDdim: 1 });
    const ddpm = stepCoefficients(schedule, "v", { sampler: "ddpm", steps: 20 });
    ddim.forEach((step, i) => {
      for (const key of ["timestep", "px", "pm", "cx", "cm", "c0", "c1", "cn"] as const) {
        expect(step[key], `${key} of step ${i}`).toBeCloseTo(ddpm[i][key], 10);
      }
    });
  });
});

test("DDPM over every training step draws with beta, or with the smaller variance of the posterior", () => {
  const beta = 0.0001 + (0.02 - 0.0001) * (500 / 999);
  const noiseAt500 = (variance: "fixed_small" | "fixed_large") =>
    stepCoefficients(schedules.linear, "v", { sampler: "ddpm", steps: 1000, variance })[499].cn;
  expect(noiseAt500("fixed_large") ** 2).toBeCloseTo(beta, 12);
  const [from, to] = [500, 499].map((t) => alphaSigma(schedules.linear, t).sigma ** 2);
  expect(noiseAt500("fixed_small") ** 2).toBeCloseTo((beta * to) / from, 12);
});

test("DPM-Solver++ converges with second order, DDIM with first", () => {
  const order = (sampler: SamplerOptions["sampler"]) => {
    const [coarse, fine] = [160, 320].map((steps) => deviationReached(cosineSchedule, { sampler, steps }, 2) / 2 - 1);
    return Math.log2(coarse / fine);
  };
  expect(order("ddim")).toBeGreaterThan(0.9);
  expect(order("ddim")).toBeLessThan(1.1);
  expect(order("dpm-solver++")).toBeGreaterThan(1.7);
});

test("DDIM on the cosine schedule steps as the model's prototype does, with the noise taken from the clipped picture", () => {
  const steps = stepCoefficients(cosineSchedule, "v", { sampler: "ddim", steps: 40 });
  let x = Float64Array.of(-1.9, -0.4, 0.2, 1.3);
  steps.forEach((step, i) => {
    const t = 1 - i / 40;
    expect(step.timestep).toBe(t);
    const v = x.map((value) => Math.cos(3 * value + t));
    const [a, s] = [Math.cos((Math.PI / 2) * t), Math.sin((Math.PI / 2) * t)];
    const [a2, s2] = [Math.cos((Math.PI / 2) * (1 - (i + 1) / 40)), Math.sin((Math.PI / 2) * (1 - (i + 1) / 40))];
    const expected = x.map((value, j) => {
      const x0 = Math.max(-1, Math.min(1, a * value - s * v[j]));
      return a2 * x0 + (s2 * (value - a * x0)) / Math.max(s, 1e-4);
    });
    const next = referenceStep(x, v, undefined, undefined, step, { kind: "static", range: 1 });
    next.x.forEach((value, j) => {
      expect(value).toBeCloseTo(expected[j], 12);
    });
    x = Float64Array.from(next.x);
  });
});

test("where the picture is clipped, DDIM keeps the model's noise or takes it from the clipped picture, as told", () => {
  const [from, to] = [900, 800].map((t) => alphaSigma(schedules.linear, t));
  const after = (useClippedModelOutput: boolean) => {
    const [step] = stepCoefficients(schedules.linear, "epsilon", { sampler: "ddim", steps: 10, useClippedModelOutput });
    return referenceStep([2], [0.5], undefined, undefined, step, { kind: "static", range: 1 }).x[0];
  };
  // The model's noise of 0.5 leaves a predicted x0 far above 1.
  expect(after(false)).toBeCloseTo(to.alpha + to.sigma * 0.5, 12);
  expect(after(true)).toBeCloseTo(to.alpha + (to.sigma * (2 - from.alpha)) / from.sigma, 12);
});

test("DDIM without setAlphaToOne ends on the schedule's first entry, so its last step from there stands still", () => {
  const steps = stepCoefficients(schedules.linear, "v", { sampler: "ddim", steps: 10, setAlphaToOne: false });
  const { cx, c0 } = steps[9];
  expect(cx).toBeCloseTo(1, 12);
  expect(c0).toBeCloseTo(0, 12);
});

test("dynamic thresholding scales a saturated picture by its own quantile and leaves a tame one to clipping", () => {
  expect(quantile([4, 1, 3, 2], 0.95)).toBeCloseTo(3.85, 14);
  expect(quantile([7], 0.5)).toBe(7);
  const dynamic = { kind: "dynamic", quantile: 0.5, max: 1.5 } as const;
  expect([...referenceThreshold([-3, 1.2, 0.6], dynamic)]).toEqual([-1, 1, 0.5]);
  expect([...referenceThreshold([-3, 4, 0.6], dynamic)]).toEqual([-1, 1, 0.6 / 1.5]);
  expect([...referenceThreshold([-0.2, 1.4, 0.1], dynamic)]).toEqual([-0.2, 1, 0.1]);
});

test("a sampler refuses what it cannot do, in the words of its options", () => {
  const refusal = (options: Partial<SamplerOptions>, schedule = schedules.linear, prediction: Prediction = "v") => {
    try {
      stepCoefficients(schedule, prediction, { sampler: "ddim", steps: 10, ...options });
    } catch (error) {
      return `${(error as { code?: string }).code}: ${(error as Error).message}`;
    }
    return "accepted";
  };
  for (const steps of [0, -3, 2.5, Number.NaN]) expect(refusal({ steps })).toMatch(/^argument: steps must be/);
  expect(refusal({ steps: 1001 })).toMatch(/^argument: steps .* got 1001/);
  expect(refusal({ steps: 1000 })).toBe("accepted");
  expect(refusal({ steps: 1001 }, cosineSchedule)).toBe("accepted");
  expect(refusal({ sampler: "dpm-solver++", steps: 1000 })).toMatch(/^argument: linspace spacing/);
  expect(refusal({ steps: 1000, stepsOffset: 1 })).toMatch(/^argument: leading spacing with offset 1/);
  expect(refusal({ etaDdim: 1.1 })).toMatch(/^argument: etaDdim/);
  expect(refusal({ lambdaMinClipped: 1 })).toMatch(/^argument: lambdaMinClipped/);
  expect(refusal({ sampler: "euler" as "ddim" })).toMatch(/^argument: sampler must be one of ddpm/);
  expect(refusal({}, cosineSchedule, "epsilon")).toMatch(/^argument: epsilon-prediction cannot start/);
});
