// The sampling runs that Hugging Face diffusers recorded in float64, with its options in our words.
import { type SamplerOptions, stepCoefficients } from "../../src/diffusion/samplers.ts";
import { type BetaCurve, discreteSchedule } from "../../src/diffusion/schedule.ts";
import type { StepCoefficients } from "../../src/diffusion/step.ts";
import type { TimestepSpacing } from "../../src/diffusion/timesteps.ts";
import fixture from "../fixtures/schedulers.json";

/** One recorded run. */
export interface RecordedRun {
  name: string;
  scheduler: keyof typeof samplers;
  config: {
    beta_schedule: BetaCurve;
    beta_start?: number;
    beta_end?: number;
    prediction_type: "epsilon" | "v_prediction";
    timestep_spacing?: TimestepSpacing;
    variance_type?: "fixed_small" | "fixed_small_log";
    clip_sample?: boolean;
    thresholding?: boolean;
    dynamic_thresholding_ratio?: number;
    sample_max_value?: number;
    lambda_min_clipped?: number;
  };
  steps: number;
  timesteps: number[];
  /** x before the first step and after each, one sample of `shape`. */
  x: number[][];
  /** Noise of each step; fewer entries, or none, where steps draw none. */
  noise: number[][];
  shape: number[];
}

const samplers = { DDIMScheduler: "ddim", DDPMScheduler: "ddpm", DPMSolverMultistepScheduler: "dpm-solver++" } as const;

/** All recorded runs. */
export const recordedRuns = fixture as unknown as RecordedRun[];

/** Our coefficients for a run. */
export function coefficientsOf({ scheduler, config, steps }: RecordedRun): StepCoefficients[] {
  const schedule = discreteSchedule({
    betaSchedule: config.beta_schedule,
    betaStart: config.beta_start,
    betaEnd: config.beta_end,
  });
  const options: SamplerOptions = {
    sampler: samplers[scheduler],
    steps,
    spacing: config.timestep_spacing,
    variance: config.variance_type,
    lambdaMinClipped: config.lambda_min_clipped,
    useClippedModelOutput: false,
  };
  return stepCoefficients(schedule, config.prediction_type === "epsilon" ? "epsilon" : "v", options);
}

/** The runs' model: 0.35 x + 0.2 sin(3 x + t / 200). */
export function recordedModel(x: Float64Array, t: number): Float64Array {
  return x.map((value) => 0.35 * value + 0.2 * Math.sin(3 * value + t / 200));
}

/** Largest difference, relative to the largest expected value. */
export function largestError(actual: ArrayLike<number>, expected: readonly number[]): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(actual[i]! - value))) / scale;
}
