// Whole sampling runs by the GPU ops in f32, against traces that Hugging Face diffusers made in float64.
import { expect, test } from "vitest";
import { type SamplerOptions, stepCoefficients } from "../../src/diffusion/samplers.ts";
import { type BetaCurve, discreteSchedule } from "../../src/diffusion/schedule.ts";
import type { StepCoefficients } from "../../src/diffusion/step.ts";
import type { TimestepSpacing } from "../../src/diffusion/timesteps.ts";
import { absQuantile } from "../../src/ops/abs_quantile.ts";
import { dynamicThreshold } from "../../src/ops/dynamic_threshold.ts";
import type { Op, TensorType } from "../../src/ops/op.ts";
import { predictX0 } from "../../src/ops/predict_x0.ts";
import { samplerStep } from "../../src/ops/sampler_step.ts";
import fixture from "../fixtures/schedulers.json";
import { testGpu } from "../gpu.ts";
import { execute } from "./harness.ts";

interface Trace {
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
  /** x before the first step and after each, one sample of `shape`. */
  x: number[][];
  /** Noise of each step; fewer entries, or none, where steps draw none. */
  noise: number[][];
  shape: number[];
}

const samplers = { DDIMScheduler: "ddim", DDPMScheduler: "ddpm", DPMSolverMultistepScheduler: "dpm-solver++" } as const;

function coefficientsOf({ scheduler, config, steps }: Trace): StepCoefficients[] {
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

/** The traces' model: 0.35 x + 0.2 sin(3 x + t / 200). */
const model = (x: Float64Array, t: number) => x.map((v) => 0.35 * v + 0.2 * Math.sin(3 * v + t / 200));

/** Runs one op by its first or second variant on f32 values. */
async function run<Attributes>(
  op: Op<Attributes>,
  variant: number,
  attributes: Attributes,
  inputs: readonly { shape: readonly number[]; data: Float64Array }[],
): Promise<{ shape: readonly number[]; data: Float64Array }> {
  const gpu = await testGpu();
  const operands = inputs.map(({ shape, data }) => ({ type: { shape, dtype: "f32" } as TensorType, data }));
  const types = operands.map(({ type }) => type);
  const output = op.infer(types, attributes);
  const launch = op.variants[variant]!.launch(types, output, attributes, gpu.traits);
  return { shape: output.shape, data: await execute(gpu, launch, operands, output) };
}

/** Relative to the largest expected value. */
function relativeError(got: Float64Array, expected: readonly number[]): number {
  const scale = Math.max(...expected.map(Math.abs));
  return Math.max(...expected.map((v, i) => Math.abs(got[i]! - v))) / scale;
}

const traces = fixture as unknown as Trace[];
const cases = traces.flatMap((trace) => [0, 1].map((variant) => ({ name: trace.name, trace, variant })));

test.each(cases)("the run '$name' follows its trace by variant $variant of every op", async ({ trace, variant }) => {
  const { config, shape } = trace;
  // What a step must not read holds NaN, so that it would show.
  const unread = new Float64Array(trace.x[0]!.length).fill(Number.NaN);
  let x = { shape, data: Float64Array.from(trace.x[0]!) } as { shape: readonly number[]; data: Float64Array };
  let x0Previous = { shape, data: unread } as typeof x;
  let worst = 0;
  for (const [i, step] of coefficientsOf(trace).entries()) {
    const { px, pm, cx, cm, c0, c1, cn } = step;
    const coefficients = { shape: [8], data: Float64Array.of(px, pm, cx, cm, c0, c1, cn, 0) };
    const m = { shape, data: model(x.data, step.timestep) };
    let x0 = await run(predictX0, variant, { clip: config.clip_sample ? 1 : undefined }, [x, m, coefficients]);
    if (config.thresholding) {
      const quantile = await run(absQuantile, variant, { p: config.dynamic_thresholding_ratio! }, [x0]);
      x0 = await run(dynamicThreshold, variant, { max: config.sample_max_value! }, [x0, quantile]);
    }
    const noise = { shape, data: cn === 0 ? unread : Float64Array.from(trace.noise[i]!) };
    x = await run(samplerStep, variant, {}, [x, m, x0, x0Previous, noise, coefficients]);
    x0Previous = x0;
    worst = Math.max(worst, relativeError(x.data, trace.x[i + 1]!));
  }
  expect(worst).toBeLessThanOrEqual(1e-4);
});
