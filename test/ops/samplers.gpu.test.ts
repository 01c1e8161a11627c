// Whole sampling runs by the GPU ops in f32, against traces that Hugging Face diffusers made in float64.
import { beforeAll, expect, test } from "vitest";
import { absQuantile } from "../../src/ops/abs_quantile.ts";
import { dynamicThreshold } from "../../src/ops/dynamic_threshold.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import type { Op, TensorType } from "../../src/ops/op.ts";
import { predictX0 } from "../../src/ops/predict_x0.ts";
import { samplerStep } from "../../src/ops/sampler_step.ts";
import { coefficientsOf, largestError, recordedModel, recordedRuns } from "../diffusion/recorded-runs.ts";
import { testGpu } from "../gpu.ts";
import { execute } from "./harness.ts";

beforeAll(() => loadKernelsFor({ software: false }));

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

const cases = recordedRuns.flatMap((trace) => [0, 1].map((variant) => ({ name: trace.name, trace, variant })));

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
    const m = { shape, data: recordedModel(x.data, step.timestep) };
    let x0 = await run(predictX0, variant, { clip: config.clip_sample ? 1 : undefined }, [x, m, coefficients]);
    if (config.thresholding) {
      const quantile = await run(absQuantile, variant, { p: config.dynamic_thresholding_ratio! }, [x0]);
      x0 = await run(dynamicThreshold, variant, { max: config.sample_max_value! }, [x0, quantile]);
    }
    const noise = { shape, data: cn === 0 ? unread : Float64Array.from(trace.noise[i]!) };
    x = await run(samplerStep, variant, {}, [x, m, x0, x0Previous, noise, coefficients]);
    x0Previous = x0;
    worst = Math.max(worst, largestError(x.data, trace.x[i + 1]!));
  }
  expect(worst).toBeLessThanOrEqual(1e-4);
});
