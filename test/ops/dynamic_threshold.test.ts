import { expect, it } from "vitest";
import { type DynamicThresholdAttributes, dynamicThreshold } from "../../src/ops/dynamic_threshold.ts";
import type { TensorType } from "../../src/ops/op.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, type Random, testOp } from "./harness.ts";

testOp(dynamicThreshold, (random: Random): Case<DynamicThresholdAttributes> => {
  const samples = random.int(1, 3);
  const picture = random.pick([
    [random.int(1, 20), random.int(1, 20), 3],
    [16, 16, 3],
  ]);
  return {
    inputs: [
      { type: { shape: [samples, ...picture], dtype: "f32" } },
      {
        type: { shape: [samples], dtype: "f32" },
        data: Float64Array.from({ length: samples }, () => 3 * random.next()),
      },
    ],
    attributes: { max: random.pick([1, 1.5, 10]) },
  };
});

it("dynamic_threshold brings the quantile to 1, leaves a picture in range alone, and never exceeds its most", async () => {
  const gpu = await testGpu();
  const types: TensorType[] = [[3, 4], [3]].map((shape) => ({ shape, dtype: "f32" }));
  const inputs = types.map((type, i) => ({
    type,
    data: Float64Array.from(i ? [2, 0.5, 8] : [1, -2, 4, -4, 1, -0.5, 2, -2, 1, -2, 4, -8]),
  }));
  for (const variant of dynamicThreshold.variants) {
    const launch = variant.launch(types, types[0]!, { max: 4 }, gpu.traits);
    const y = await execute(gpu, launch, inputs, types[0]!);
    expect([...y]).toEqual([0.5, -1, 1, -1, 1, -0.5, 1, -1, 0.25, -0.5, 1, -1]);
  }
});

it("dynamic_threshold refuses a most below the range of a picture", () => {
  const types: TensorType[] = [[1, 4], [1]].map((shape) => ({ shape, dtype: "f32" }));
  expect(() => dynamicThreshold.infer(types, { max: 0.5 })).toThrow("at least 1, got 0.5");
});
