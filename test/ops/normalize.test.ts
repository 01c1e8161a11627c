// The affine half of group norm, and that it whitens every group when it gets that group's statistics.
import { expect, it } from "vitest";
import { groupNormAffine } from "../../src/ops/group_norm.ts";
import { type NormalizeAttributes, normalize } from "../../src/ops/normalize.ts";
import type { TensorType } from "../../src/ops/op.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, Random, storage, testOp } from "./harness.ts";

function randomNormalize(random: Random): Case<NormalizeAttributes> {
  const step = random.next() < 0.4 ? 1 : 4;
  const [c, c2] = [step * random.int(1, 12), random.next() < 0.5 ? step * random.int(1, 12) : 0];
  const batch = random.int(1, 3);
  const pixels = random.pick([[], [random.int(1, 100)], [random.int(1, 9), random.int(1, 9)]]);
  return {
    inputs: [
      { type: { shape: [batch, ...pixels, c], dtype: storage(random, c) } },
      c2 ? { type: { shape: [batch, ...pixels, c2], dtype: storage(random, c2) } } : null,
      { type: { shape: [batch, 2, c + c2], dtype: "f32" } },
    ],
    attributes: { activation: random.pick(["none", "silu", "gelu_erf"] as const), dtype: storage(random, c + c2) },
  };
}

testOp(normalize, randomNormalize);

it("whitens each group of each sample, across the two sources", async () => {
  const gpu = await testGpu();
  const random = new Random(11);
  const f32 = (...shape: number[]): TensorType => ({ shape, dtype: "f32" });
  const filled = (type: TensorType, value: () => number) => ({
    type,
    data: Float64Array.from({ length: type.shape.reduce((a, b) => a * b) }, value),
  });
  const inputs = [
    filled(f32(2, 6, 6, 8), () => 3 + 2 * random.normal()),
    filled(f32(2, 6, 6, 4), () => random.normal() - 5),
    filled(f32(12), () => 1),
    filled(f32(12), () => 0),
    null,
  ];
  const attributes = { groups: 2, epsilon: 1e-6 };
  const types = inputs.map((input) => input?.type ?? null);
  const affineType = groupNormAffine.infer(types, attributes);
  const statistics = groupNormAffine.variants[0]!.launch(types, affineType, attributes, gpu.traits);
  const affine = { type: affineType, data: await execute(gpu, statistics, inputs, affineType) };
  const operands = [inputs[0]!, inputs[1]!, affine];
  const operandTypes = operands.map(({ type }) => type);
  const output = normalize.infer(operandTypes, { activation: "none" });
  const launch = normalize.variants[0]!.launch(operandTypes, output, { activation: "none" }, gpu.traits);
  const y = await execute(gpu, launch, operands, output);
  for (const sample of [0, 1])
    for (const group of [0, 1]) {
      const values = [...y].filter((_, i) => Math.floor(i / 432) === sample && Math.floor((i % 12) / 6) === group);
      const mean = values.reduce((sum, v) => sum + v, 0) / values.length;
      const variance = values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / values.length;
      expect(mean).toBeCloseTo(0, 5);
      expect(variance).toBeCloseTo(1, 4);
    }
});
