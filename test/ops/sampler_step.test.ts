import { expect, it } from "vitest";
import type { TensorType } from "../../src/ops/op.ts";
import { samplerStep } from "../../src/ops/sampler_step.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, type Random, testOp } from "./harness.ts";

testOp(samplerStep, (random: Random): Case<Record<string, never>> => {
  const type: TensorType = {
    shape: random.pick([
      [random.int(1, 3), random.int(1, 20), random.int(1, 20), 3],
      [random.int(1, 3), 16, 16, 3],
    ]),
    dtype: "f32",
  };
  const optional = () => (random.next() < 0.5 ? { type } : null);
  return {
    inputs: [{ type }, { type }, { type }, optional(), optional(), { type: { shape: [8], dtype: "f32" } }, optional()],
    attributes: {},
  };
});

it("sampler_step takes nothing from operands of weight 0, whatever an earlier run left in them", async () => {
  const gpu = await testGpu();
  const types: TensorType[] = [[1, 4], [1, 4], [1, 4], [1, 4], [1, 4], [8], [1, 4]].map((shape) => ({
    shape,
    dtype: "f32",
  }));
  const [picture, stale] = [
    [1, 2, 3, 4],
    [Number.NaN, Number.POSITIVE_INFINITY, 0, 1],
  ];
  const data = [picture, picture, picture, stale, stale, [0, 0, 0.5, 0.25, 0.125, 0, 0, 0], stale];
  const inputs = types.map((type, i) => ({ type, data: Float64Array.from(data[i]!) }));
  for (const variant of samplerStep.variants) {
    const launch = variant.launch(types, types[0]!, {}, gpu.traits);
    expect([...(await execute(gpu, launch, inputs, types[0]!))]).toEqual([0.875, 1.75, 2.625, 3.5]);
  }
});
