// Whole sampling runs against traces that Hugging Face diffusers made in float64.
import { expect, test } from "vitest";
import { referenceStep } from "../../src/diffusion/reference.ts";
import { type SamplerOptions, stepCoefficients } from "../../src/diffusion/samplers.ts";
import { type BetaCurve, discreteSchedule } from "../../src/diffusion/schedule.ts";
import type { Prediction } from "../../src/diffusion/step.ts";
import type { Thresholding } from "../../src/diffusion/thresholding.ts";
import type { TimestepSpacing } from "../../src/diffusion/timesteps.ts";
import fixture from "../fixtures/schedulers.json";

interface SchedulerConfig {
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
}

interface Trace {
  name: string;
  scheduler: "DDIMScheduler" | "DDPMScheduler" | "DPMSolverMultistepScheduler";
  config: SchedulerConfig;
  steps: number;
  timesteps: number[];
  x: number[][];
  noise: number[][];
}

const samplers = { DDIMScheduler: "ddim", DDPMScheduler: "ddpm", DPMSolverMultistepScheduler: "dpm-solver++" } as const;

function samplerOf({ scheduler, config, steps }: Trace): SamplerOptions {
  return {
    sampler: samplers[scheduler],
    steps,
    spacing: config.timestep_spacing,
    variance: config.variance_type,
    lambdaMinClipped: config.lambda_min_clipped,
    useClippedModelOutput: false,
  };
}

function thresholdingOf(config: SchedulerConfig): Thresholding {
  if (config.thresholding) {
    return { kind: "dynamic", quantile: config.dynamic_thresholding_ratio!, max: config.sample_max_value! };
  }
  return config.clip_sample ? { kind: "static", range: 1 } : { kind: "none" };
}

const analyticModel = (x: Float64Array, t: number) =>
  x.map((value) => 0.35 * value + 0.2 * Math.sin(3 * value + t / 200));

function relativeError(actual: ArrayLike<number>, expected: number[]): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((value, i) => Math.abs(actual[i] - value))) / scale;
}

test.each(fixture as unknown as Trace[])("the run '$name' follows its trace", (trace) => {
  const { config } = trace;
  const schedule = discreteSchedule({
    betaSchedule: config.beta_schedule,
    betaStart: config.beta_start,
    betaEnd: config.beta_end,
  });
  const prediction: Prediction = config.prediction_type === "epsilon" ? "epsilon" : "v";
  const steps = stepCoefficients(schedule, prediction, samplerOf(trace));
  expect(steps.map((step) => step.timestep)).toEqual(trace.timesteps);

  let x: Float64Array = Float64Array.from(trace.x[0]);
  let x0: Float64Array | undefined;
  let worst = 0;
  for (const [i, step] of steps.entries()) {
    if (step.cn !== 0) expect(trace.noise[i], "the trace draws noise where the sampler does").toBeDefined();
    const m = analyticModel(x, step.timestep);
    ({ x, x0 } = referenceStep(x, m, x0, trace.noise[i], step, thresholdingOf(config)));
    worst = Math.max(worst, relativeError(x, trace.x[i + 1]));
  }
  // The traces took their schedule's scalars from diffusers' f32 tables, ours are f64; this is that difference.
  expect(worst).toBeLessThan(1e-5);
});
