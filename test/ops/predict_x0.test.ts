import { expect, it } from "vitest";
import type { TensorType } from "../../src/ops/op.ts";
import { type PredictX0Attributes, predictX0 } from "../../src/ops/predict_x0.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, type Random, testOp } from "./harness.ts";

testOp(predictX0, (random: Random): Case<PredictX0Attributes> => {
  const type: TensorType = {
    shape: random.pick([
      [random.int(1, 3), random.int(1, 20), random.int(1, 20), 3],
      [random.int(1, 3), 16, 16, 3],
    ]),
    dtype: "f32",
  };
  return {
    inputs: [{ type }, { type }, { type: { shape: [8], dtype: "f32" } }],
    attributes: random.next() < 0.5 ? {} : { clip: random.pick([0.5, 1, 2]) },
  };
});

it("predict_x0 does not clip a model's NaN into a colour", async () => {
  const gpu = await testGpu();
  const types: TensorType[] = [[1, 4], [1, 4], [8]].map((shape) => ({ shape, dtype: "f32" }));
  const data = [
    [0.25, 3, -3, 0.5],
    [0, 0, 0, Number.NaN],
    [1, 1, 0, 0, 0, 0, 0, 0],
  ];
  const inputs = types.map((type, i) => ({ type, data: Float64Array.from(data[i]!) }));
  for (const variant of predictX0.variants) {
    const launch = variant.launch(types, types[0]!, { clip: 1 }, gpu.traits);
    expect([...(await execute(gpu, launch, inputs, types[0]!))]).toEqual([0.25, 1, -1, Number.NaN]);
  }
});

it("predict_x0 refuses a clip that leaves no colours", () => {
  const x = { shape: [1, 4], dtype: "f32" } as const;
  expect(() => predictX0.infer([x, x, { shape: [8], dtype: "f32" }], { clip: 0 })).toThrow("above 0, got 0");
});
