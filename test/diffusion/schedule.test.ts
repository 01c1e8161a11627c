// Noise schedules and the times that samplers visit, against published numbers.
import { expect, test } from "vitest";
import {
  alphaSigma,
  cosineSchedule,
  discreteSchedule,
  lambda,
  type NoiseSchedule,
} from "../../src/diffusion/schedule.ts";
import { samplingPoints, type TimestepOptions } from "../../src/diffusion/timesteps.ts";

const stableDiffusion = discreteSchedule({ betaSchedule: "scaled_linear", betaStart: 0.00085, betaEnd: 0.012 });
const ddpm = discreteSchedule({ betaSchedule: "linear" });
const improved = discreteSchedule({ betaSchedule: "squaredcos_cap_v2" });

function timesteps(schedule: NoiseSchedule, steps: number, options: Partial<TimestepOptions>): number[] {
  return samplingPoints(schedule, steps, {
    spacing: "leading",
    stepsOffset: 0,
    setAlphaToOne: true,
    lambdaMinClipped: Number.NEGATIVE_INFINITY,
    asksTimestepZero: true,
    ...options,
  })
    .slice(0, -1)
    .map((point) => point.timestep);
}

test("the discrete schedules end where their papers say", () => {
  const sigmas = [0, 999].map((t) => Math.exp(-lambda(alphaSigma(stableDiffusion, t))));
  expect(sigmas[0]).toBeCloseTo(0.0292, 4);
  expect(sigmas[1]).toBeCloseTo(14.6146, 3);
  expect(alphaSigma(ddpm, 999).alpha ** 2).toBeCloseTo(4.036e-5, 8);
  // Nichol & Dhariwal: alpha^2 is this squared cosine, up to the cap in the very last steps.
  const squaredCosine = (share: number) => Math.cos((((share + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  expect(alphaSigma(improved, 499).alpha ** 2).toBeCloseTo(squaredCosine(0.5) / squaredCosine(0), 12);
});

test("the cosine schedule is pure picture at 0 and pure noise at 1", () => {
  expect(alphaSigma(cosineSchedule, 0)).toEqual({ alpha: 1, sigma: 0 });
  expect(alphaSigma(cosineSchedule, 1)).toEqual({ alpha: 0, sigma: 1 });
  expect(alphaSigma(cosineSchedule, 1 / 3).alpha).toBeCloseTo(Math.sqrt(3) / 2, 15);
});

test("every schedule preserves variance, also between whole timesteps, and loses signal all the way", () => {
  for (const [schedule, end] of [
    [cosineSchedule, 1],
    [ddpm, 999],
    [stableDiffusion, 999],
    [improved, 999],
  ] as const) {
    let before = Number.POSITIVE_INFINITY;
    for (let i = 0; i <= 1500; i++) {
      const point = alphaSigma(schedule, (i / 1500) * end);
      expect(point.alpha ** 2 + point.sigma ** 2).toBeCloseTo(1, 12);
      expect(point.alpha).toBeLessThan(before);
      before = point.alpha;
    }
  }
});

test("rescaling to zero terminal signal keeps the first entry and empties the last", () => {
  const rescaled = discreteSchedule({ betaSchedule: "linear", rescaleBetasZeroSnr: true });
  expect(rescaled.alphaSquared[0]).toBeCloseTo(ddpm.alphaSquared[0], 14);
  expect(alphaSigma(rescaled, 999)).toEqual({ alpha: 0, sigma: 1 });
});

test("ten timesteps are spread as in table 2 of Lin et al. 2023", () => {
  const oneBased = (spacing: TimestepOptions["spacing"]) =>
    timesteps(ddpm, 10, { spacing })
      .map((t) => t + 1)
      .reverse();
  expect(oneBased("leading")).toEqual([1, 101, 201, 301, 401, 501, 601, 701, 801, 901]);
  expect(oneBased("linspace")).toEqual([1, 112, 223, 334, 445, 556, 667, 778, 889, 1000]);
  expect(oneBased("trailing")).toEqual([100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
});

test("offset, clipping and one-step runs move the timesteps as they should", () => {
  expect(timesteps(ddpm, 4, { stepsOffset: 1 })).toEqual([751, 501, 251, 1]);
  expect(timesteps(ddpm, 4, { asksTimestepZero: false })).toEqual([800, 600, 400, 200]);
  expect(timesteps(improved, 2, { spacing: "linspace", lambdaMinClipped: -5.1 })).toEqual([995, 0]);
  expect(timesteps(ddpm, 1, { spacing: "trailing" })).toEqual([999]);
  // NumPy rounds the ties 166.5 and 832.5 to even.
  expect(timesteps(ddpm, 7, { spacing: "linspace" })).toEqual([999, 832, 666, 500, 333, 166, 0]);
  // A tie that NumPy, and so diffusers, decides by the rounding of the stride.
  expect(timesteps(ddpm, 48, { spacing: "trailing" })[3]).toBe(936);
});

test("the cosine schedule is walked evenly from pure noise, or from where clipping begins", () => {
  expect(timesteps(cosineSchedule, 4, {})).toEqual([1, 0.75, 0.5, 0.25]);
  const [start, next] = timesteps(cosineSchedule, 2, { lambdaMinClipped: -5.1 });
  expect(lambda(alphaSigma(cosineSchedule, start))).toBeCloseTo(-5.1, 10);
  expect(next).toBe(start / 2);
});

test("times and betas outside the schedule are refused", () => {
  const refused = expect.objectContaining({ code: "argument" });
  expect(() => alphaSigma(cosineSchedule, 1.01)).toThrow(refused);
  expect(() => alphaSigma(ddpm, -1)).toThrow(refused);
  expect(() => alphaSigma(ddpm, 999.5)).toThrow(refused);
  expect(() => discreteSchedule({ betaSchedule: "linear", betaStart: 0.02, betaEnd: 0.01 })).toThrow(refused);
  expect(() => discreteSchedule({ betaSchedule: "linear", betaEnd: 1 })).toThrow(refused);
  expect(() => discreteSchedule({ betaSchedule: "linear", trainTimesteps: 1 })).toThrow(refused);
});
