// Whole sampling runs against traces that Hugging Face diffusers made in float64.
import { expect, test } from "vitest";
import { referenceStep } from "../../src/diffusion/reference.ts";
import type { Thresholding } from "../../src/diffusion/thresholding.ts";
import { coefficientsOf, largestError, type RecordedRun, recordedModel, recordedRuns } from "./recorded-runs.ts";

function thresholdingOf(config: RecordedRun["config"]): Thresholding {
  if (config.thresholding) {
    return { kind: "dynamic", quantile: config.dynamic_thresholding_ratio!, max: config.sample_max_value! };
  }
  return config.clip_sample ? { kind: "static", range: 1 } : { kind: "none" };
}

test.each(recordedRuns)("the run '$name' follows its trace", (trace) => {
  const { config } = trace;
  const steps = coefficientsOf(trace);
  expect(steps.map((step) => step.timestep)).toEqual(trace.timesteps);

  let x: Float64Array = Float64Array.from(trace.x[0]);
  let x0: Float64Array | undefined;
  let worst = 0;
  for (const [i, step] of steps.entries()) {
    if (step.cn !== 0) expect(trace.noise[i], "the trace draws noise where the sampler does").toBeDefined();
    const m = recordedModel(x, step.timestep);
    ({ x, x0 } = referenceStep(x, m, x0, trace.noise[i], step, thresholdingOf(config)));
    worst = Math.max(worst, largestError(x, trace.x[i + 1]));
  }
  // The traces took their schedule's scalars from diffusers' f32 tables, ours are f64; this is that difference.
  expect(worst).toBeLessThan(1e-5);
});
