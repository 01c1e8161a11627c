// Group norm: its statistics on every kernel, and that statistics and affine together are PyTorch's GroupNorm with FiLM.
import { beforeAll, describe, expect, it } from "vitest";
import { type GroupNormAttributes, groupNormAffine } from "../../src/ops/group_norm.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { testGpu } from "../gpu.ts";
import { type Case, checkCase, Random, storage, testOp } from "./harness.ts";

function randomGroupNorm(random: Random): Case<GroupNormAttributes> {
  const groups = random.int(1, 6);
  const second = random.next() < 0.5;
  // In vec4 shapes too, groups may be of a width that is not a multiple of 4, and lie across the two sources.
  const step = random.next() < 0.4 ? 1 : 4;
  const total = groups * step * random.int(second ? 2 : 1, 6);
  const c2 = second ? step * random.int(1, Math.max(1, total / step - 1)) : 0;
  const c = total - c2 || total;
  const [batch, film] = [random.int(1, 3), random.int(0, 2)];
  const pixels = random.pick([[], [random.int(1, 40)], [random.int(1, 9), random.int(1, 9)]]);
  const tensor = (...shape: number[]) => ({ type: { shape, dtype: "f32" as const } });
  const n = c + (c === total ? 0 : c2);
  return {
    inputs: [
      { type: { shape: [batch, ...pixels, c], dtype: storage(random, c) } },
      n === c ? null : { type: { shape: [batch, ...pixels, c2], dtype: storage(random, c2) } },
      tensor(n),
      tensor(n),
      film === 0 ? null : tensor(film === 1 ? 1 : batch, 2 * n),
    ],
    attributes: { groups, epsilon: 1e-3 },
  };
}

beforeAll(() => loadKernelsFor({ software: false }));

testOp(groupNormAffine, randomGroupNorm, { count: 60 });

describe("group_norm_affine", () => {
  it("keeps the variance of values far from zero", async () => {
    const gpu = await testGpu();
    const random = new Random(7);
    const shape = [2, 8, 8, 16];
    const data = Float64Array.from({ length: 2048 }, () => 300 + random.normal());
    const tensor = (...extents: number[]) => ({ type: { shape: extents, dtype: "f32" as const } });
    const inputs = [{ type: { shape, dtype: "f32" as const }, data }, null, tensor(16), tensor(16), null];
    for (const variant of groupNormAffine.variants)
      await checkCase(gpu, groupNormAffine, variant, inputs, { groups: 2, epsilon: 1e-5 }, random, 1e-5);
  });

  it("has the definition of PyTorch's GroupNorm(2, 4) with eps 0", () => {
    // Groups {1, 3, 5, 7} and {0, 0, 4, 4}: means 4 and 2, biased variances 5 and 4.
    const x = { shape: [1, 2, 4], data: Float64Array.of(1, 3, 0, 0, 5, 7, 4, 4) };
    const gamma = { shape: [4], data: Float64Array.of(1, 1, 2, 1) };
    const beta = { shape: [4], data: Float64Array.of(0, 0, 10, 0) };
    const film = { shape: [1, 8], data: Float64Array.of(0, 0, 1, 0, 0, 0, 0, 3) };
    const type = groupNormAffine.infer(
      [x, null, gamma, beta, film].map((tensor) => tensor && { shape: tensor.shape, dtype: "f32" }),
      { groups: 2, epsilon: 0 },
    );
    const affine = groupNormAffine.reference([x, null, gamma, beta, film], type, { groups: 2, epsilon: 0 });
    const [a, b] = [1 / Math.sqrt(5), -4 / Math.sqrt(5)];
    for (const [i, expected] of [a, a, 2, 0.5, b, b, 16, 2].entries()) expect(affine[i]).toBeCloseTo(expected, 12);
  });

  it("refuses groups that do not divide the channels of both sources, and halves for its parameters", () => {
    const f32 = (...shape: number[]) => ({ shape, dtype: "f32" as const });
    const attributes = { groups: 4, epsilon: 1e-5 };
    expect(() => groupNormAffine.infer([f32(1, 5, 8), f32(1, 5, 2), f32(10), f32(10), null], attributes)).toThrow(
      "groups must divide the 10 channels, got 4",
    );
    expect(() =>
      groupNormAffine.infer([f32(1, 5, 8), null, { shape: [8], dtype: "f16" }, f32(8), null], attributes),
    ).toThrow("gamma must be f32, got f16");
    expect(() => groupNormAffine.infer([f32(2, 5, 8), f32(1, 5, 8), f32(16), f32(16), null], attributes)).toThrow(
      "x2 must be [2, 5, 8], got [1, 5, 8]",
    );
  });
});
