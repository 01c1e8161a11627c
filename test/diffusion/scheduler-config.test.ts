// Scheduler configs as public pipelines have them, read into our samplers, against recorded runs and the samplers' definitions.
import { describe, expect, it } from "vitest";
import { referenceStep } from "../../src/diffusion/reference.ts";
import { stepCoefficients } from "../../src/diffusion/samplers.ts";
import { alphaSigma } from "../../src/diffusion/schedule.ts";
import { readScheduler, type SchedulerConfig } from "../../src/diffusion/scheduler-config.ts";
import { coefficientsOf, largestError, recordedModel, recordedRuns } from "./recorded-runs.ts";

const read = (json: object, instead?: Parameters<typeof readScheduler>[2]) =>
  readScheduler("scheduler/scheduler_config.json", JSON.stringify(json), instead);

const steps = ({ schedule, prediction, sampler }: SchedulerConfig, count: number) =>
  stepCoefficients(schedule, prediction, { ...sampler, steps: count });

/** DeepFloyd IF, stage I. */
const deepFloyd = {
  _class_name: "DDPMScheduler",
  _diffusers_version: "0.15.0.dev0",
  beta_end: 0.02,
  beta_schedule: "squaredcos_cap_v2",
  beta_start: 0.0001,
  clip_sample: true,
  clip_sample_range: 1.0,
  dynamic_thresholding_ratio: 0.95,
  num_train_timesteps: 1000,
  prediction_type: "epsilon",
  sample_max_value: 1.5,
  thresholding: true,
  trained_betas: null,
  variance_type: "learned_range",
};

/** Stable Diffusion 1.5. */
const stable1 = {
  _class_name: "PNDMScheduler",
  _diffusers_version: "0.6.0",
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
  trained_betas: null,
  clip_sample: false,
};

/** Stable Diffusion 2.1. */
const stable2 = { ...stable1, _class_name: "DDIMScheduler", prediction_type: "v_prediction" };

/** Stable Diffusion XL. */
const stableXl = {
  ...stable1,
  _class_name: "EulerDiscreteScheduler",
  interpolation_type: "linear",
  prediction_type: "epsilon",
  sample_max_value: 1.0,
  timestep_spacing: "leading",
  use_karras_sigmas: false,
};

it.each(recordedRuns)("the recorded run '$name' is sampled by its own config", (trace) => {
  const config = read({ _class_name: trace.scheduler, ...trace.config });
  expect(steps(config, trace.steps)).toEqual(coefficientsOf(trace));
  const thresholding = trace.config.thresholding
    ? { kind: "dynamic", quantile: trace.config.dynamic_thresholding_ratio, max: trace.config.sample_max_value }
    : trace.config.clip_sample
      ? { kind: "static", range: 1 }
      : { kind: "none" };
  expect(config.thresholding).toEqual(thresholding);
});

describe("DeepFloyd IF", () => {
  it("draws with a variance between the posterior's and beta, where the model says", () => {
    const config = read(deepFloyd);
    expect(config.prediction).toBe("epsilon");
    expect(config.thresholding).toEqual({ kind: "dynamic", quantile: 0.95, max: 1.5 });
    const all = steps(config, 50);
    const [from, to] = [all[20]!, all[21]!].map(({ timestep }) => alphaSigma(config.schedule, timestep).alpha ** 2);
    const beta = 1 - from! / to!;
    const posterior = (beta * (1 - to!)) / (1 - from!);
    const variance = (says: number) => {
      const alone = { ...all[20]!, px: 0, pm: 0, cx: 0, c0: 0 };
      return referenceStep([0], [0], undefined, [1], alone, { kind: "none" }, [says]).x[0]! ** 2;
    };
    expect(variance(-1) / posterior).toBeCloseTo(1, 12);
    expect(variance(1) / beta).toBeCloseTo(1, 12);
    expect(variance(0.5)).toBeCloseTo(beta ** 0.75 * posterior ** 0.25, 12);
    expect(all.at(-1)).toMatchObject({ timestep: 0, cn: 0, cv: 0 });
  });

  it("can be drawn with DPM-Solver++ instead, as IF's own recorded run was", () => {
    const config = read({ ...deepFloyd, lambda_min_clipped: -5.1 }, "dpm-solver++");
    const trace = recordedRuns.find(({ name }) => name.includes("(IF)"))!;
    expect(steps(config, trace.steps)).toEqual(coefficientsOf(trace));
    expect(config.thresholding).toEqual({ kind: "dynamic", quantile: 0.95, max: 1.5 });
  });
});

describe("Stable Diffusion", () => {
  it("1.5 asks for PNDM; a sampler that there is not is named, and has a way round", () => {
    expect(read(stable1).sampler).toEqual({
      sampler: "pndm",
      setAlphaToOne: false,
      spacing: "leading",
      stepsOffset: 1,
    });
    expect(() => read({ ...stable1, _class_name: "HeunDiscreteScheduler" })).toThrow(
      'scheduler/scheduler_config.json: _class_name "HeunDiscreteScheduler" is not supported: choose another sampler for its noise schedule: dpm-solver++, ddim, ddpm, pndm',
    );
    const solver = read(stable1, "dpm-solver++");
    expect(solver.sampler).toMatchObject({ sampler: "dpm-solver++", spacing: "linspace", stepsOffset: 1 });
    expect(steps(solver, 20)[0]!.timestep).toBe(999);
    expect(alphaSigma(solver.schedule, 999).alpha).toBeCloseTo(0.0683, 4);
    const ddim = read({ ...stable1, timestep_spacing: "leading" }, "ddim");
    expect(steps(ddim, 50).map(({ timestep }) => timestep)).toEqual(Array.from({ length: 50 }, (_, i) => 981 - 20 * i));
  });

  it("2.1 lands on the schedule's first entry", () => {
    const config = read(stable2);
    expect(config.prediction).toBe("v");
    expect(config.thresholding).toEqual({ kind: "none" });
    const last = steps(config, 50).at(-1)!;
    const { alpha, sigma } = alphaSigma(config.schedule, 0);
    expect(last.timestep).toBe(1);
    // What is left of x0 and of the noise at the end.
    const of = alphaSigma(config.schedule, 1);
    expect(last.c0).toBeCloseTo(alpha, 12);
    expect(last.cx * of.alpha + last.cm * -of.sigma).toBeCloseTo(0, 12);
    expect(last.cx * of.sigma + last.cm * of.alpha).toBeCloseTo(sigma, 12);
  });

  it.each([
    { name: "EulerDiscreteScheduler", ancestral: false },
    { name: "EulerAncestralDiscreteScheduler", ancestral: true },
  ])("XL's $name walks as its definition does", ({ name, ancestral }) => {
    const { schedule, ...config } = read({ ...stableXl, _class_name: name });
    const all = steps({ schedule, ...config }, 20);
    const ratio = ({ alpha, sigma }: { alpha: number; sigma: number }) => sigma / alpha;
    let x: Float64Array = Float64Array.of(-1.2, 0.3, 0.9, 2);
    // Euler's x is scaled so that the picture in it has weight 1.
    let scaled = x.map((v) => v / alphaSigma(schedule, all[0]!.timestep).alpha);
    all.forEach((step, i) => {
      const noise = [0.4, -1, 0.2, 0.1 * i];
      const here = alphaSigma(schedule, step.timestep);
      const sigma = ratio(here);
      const next = i + 1 < all.length ? ratio(alphaSigma(schedule, all[i + 1]!.timestep)) : 0;
      const m = recordedModel(x, step.timestep);
      const up = ancestral ? Math.sqrt((next ** 2 * (sigma ** 2 - next ** 2)) / sigma ** 2) : 0;
      const down = Math.sqrt(next ** 2 - up ** 2);
      scaled = scaled.map((v, j) => v + m[j]! * (down - sigma) + up * noise[j]!);
      x = referenceStep(x, m, undefined, noise, step, config.thresholding).x;
      const alpha = next === 0 ? 1 : alphaSigma(schedule, all[i + 1]!.timestep).alpha;
      expect(
        largestError(
          x,
          [...scaled].map((v) => v * alpha),
        ),
      ).toBeLessThan(1e-9);
    });
  });
});

describe("what is not supported is named", () => {
  it.each([
    [{ ...stable1, _class_name: "FlowMatchEulerDiscreteScheduler" }, '_class_name must be "DDPMScheduler" or'],
    [{ ...deepFloyd, variance_type: "learned" }, 'variance_type must be "fixed_small" or'],
    [{ ...deepFloyd, beta_schedule: "sigmoid" }, 'beta_schedule must be "linear" or'],
    [{ ...deepFloyd, trained_betas: [0.1, 0.2] }, "trained_betas must be absent to be supported, got [0.1,0.2]"],
    [{ ...deepFloyd, beta_end: 1.5 }, "scheduler_config.json: betaEnd must be in [0.0001, "],
    [{ ...deepFloyd, steps_offset: -1 }, "steps_offset -1 is not supported: it must be a whole number"],
    [{ ...deepFloyd, timestep_spacing: "random" }, 'timestep_spacing must be "leading" or'],
    [{ ...deepFloyd, magic: 1 }, "not supported: magic 1"],
    [{ ...stableXl, use_karras_sigmas: true }, "use_karras_sigmas must be false to be supported, got true"],
    [{ ...stableXl, timestep_spacing: "trailing" }, 'timestep_spacing "trailing" is not supported: Euler'],
    [{ ...stableXl, final_sigmas_type: "sigma_min" }, 'final_sigmas_type must be "zero" to be supported'],
  ])("%o", (json, message) => {
    expect(() => read(json)).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });

  it.each([
    [{ solver_order: 3 }, "solver_order must be 2 to be supported, got 3"],
    [{ algorithm_type: "sde-dpmsolver++" }, 'algorithm_type must be "dpmsolver++" to be supported'],
    [{ use_lu_lambdas: true }, "use_lu_lambdas must be false to be supported"],
    [{ lambda_min_clipped: -5.1, timestep_spacing: "trailing" }, "not together with trailing timesteps"],
  ])("%o of DPM-Solver", (change, message) => {
    expect(() => read({ ...stable1, _class_name: "DPMSolverMultistepScheduler", ...change })).toThrow(message);
  });

  it("but an infinity that JSON has not is read", () => {
    const text = '{"_class_name": "DPMSolverMultistepScheduler", "lambda_min_clipped": -Infinity, "solver_order": 2}';
    expect(steps(readScheduler("scheduler_config.json", text), 10)).toHaveLength(10);
  });
});
