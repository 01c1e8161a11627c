// The times at which a sampler asks the model, from most noise to none.
import { ReimagenError } from "../errors.ts";
import { checkInteger } from "./range.ts";
import { type AlphaSigma, alphaSigma, type DiscreteSchedule, lambda, type NoiseSchedule } from "./schedule.ts";

/** How whole timesteps are spread over a discrete schedule (Lin et al. 2023, table 2). */
export type TimestepSpacing = "leading" | "trailing" | "linspace";

/** A time on the way from noise to picture; `timestep` is what the model is told, in the schedule's own unit. */
export interface SamplingPoint extends AlphaSigma {
  timestep: number;
}

/** Which times are visited. Only `lambdaMinClipped` concerns the cosine schedule. */
export interface TimestepOptions {
  spacing: TimestepSpacing;
  /** Added to every timestep of `leading` spacing. */
  stepsOffset: number;
  /** True: the last step lands on alpha = 1; false: on the schedule's first entry. */
  setAlphaToOne: boolean;
  /** Times with less signal than this lambda are left out; -Infinity keeps all. */
  lambdaMinClipped: number;
  /**
   * True: the lowest timestep of `leading` and `linspace` is 0 itself; false: it lies one interval above, and the last
   * step covers that interval, as diffusers has it for solvers of the diffusion ODE.
   */
  asksTimestepZero: boolean;
}

/**
 * The steps + 1 points of a sampling run, noisiest first; the last is where the run lands and is never asked.
 * Cosine: t = start (1 - i / steps) with start = 1, or the time where lambda is `lambdaMinClipped`.
 * Discrete: the spacings of diffusers, where each step leads to the next timestep of the list. Throws `argument` for a
 * step count that is not a positive whole number, or that the schedule has not enough distinct timesteps for.
 */
export function samplingPoints(schedule: NoiseSchedule, steps: number, options: TimestepOptions): SamplingPoint[] {
  checkInteger("steps", steps, 1, Number.MAX_SAFE_INTEGER);
  if (schedule.kind === "cosine") {
    const start = (2 / Math.PI) * Math.atan(Math.exp(-options.lambdaMinClipped));
    return Array.from({ length: steps + 1 }, (_, i) => {
      const timestep = start * (1 - i / steps);
      return { timestep, ...alphaSigma(schedule, timestep) };
    });
  }
  const asked = discreteTimesteps(schedule, steps, options);
  const landing = options.setAlphaToOne ? { alpha: 1, sigma: 0 } : alphaSigma(schedule, 0);
  return [...asked.map((timestep) => ({ timestep, ...alphaSigma(schedule, timestep) })), { timestep: 0, ...landing }];
}

function discreteTimesteps(schedule: DiscreteSchedule, steps: number, options: TimestepOptions): number[] {
  const trained = schedule.alphaSquared.length;
  checkInteger("steps", steps, 1, trained);
  const available = trained - countBelow(schedule, options.lambdaMinClipped);
  const timesteps = spread(steps, available, options);
  const distinct = timesteps.every((t, i) => i === 0 || t < timesteps[i - 1]);
  if (!distinct || timesteps[0] >= trained || timesteps[steps - 1] < 0) {
    throw new ReimagenError(
      "argument",
      `${options.spacing} spacing with offset ${options.stepsOffset} cannot place ${steps} steps on distinct timesteps ` +
        `of a schedule that offers ${available} of ${trained}`,
    );
  }
  return timesteps;
}

function countBelow(schedule: DiscreteSchedule, lambdaMin: number): number {
  let count = 0;
  for (let t = 0; t < schedule.alphaSquared.length; t++) {
    if (lambda(alphaSigma(schedule, t)) < lambdaMin) count++;
  }
  return count;
}

function spread(steps: number, available: number, options: TimestepOptions): number[] {
  const places = options.asksTimestepZero ? steps : steps + 1;
  const descending = Array.from({ length: steps }, (_, i) => places - 1 - i);
  switch (options.spacing) {
    case "leading": {
      const stride = Math.floor(available / places);
      return descending.map((k) => k * stride + options.stepsOffset);
    }
    case "linspace": {
      const stride = places > 1 ? (available - 1) / (places - 1) : 0;
      return descending.map((k) => roundHalfEven(k * stride));
    }
    case "trailing": {
      // Not simplified: NumPy rounds the stride of its ranges this way, which decides ties.
      const stride = available - (available - available / steps);
      return descending.map((_, i) => roundHalfEven(available - i * stride) - 1);
    }
  }
}

// Traces made with NumPy round 499.5 to 500 and 500.5 to 500.
function roundHalfEven(value: number): number {
  const rounded = Math.round(value);
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
