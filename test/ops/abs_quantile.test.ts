import { beforeAll, describe, expect, it } from "vitest";
import { type AbsQuantileAttributes, absQuantile } from "../../src/ops/abs_quantile.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { sizeOf, type TensorType } from "../../src/ops/op.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, Random, testOp } from "./harness.ts";

beforeAll(() => loadKernelsFor({ software: false }));

// Pictures, pictures with many ties, and values of every magnitude from denormal to huge.
function values(random: Random, count: number): Float64Array {
  const kind = random.int(0, 3);
  const value = [
    () => random.normal(),
    () => random.int(-3, 3),
    () => (random.next() < 0.5 ? -1 : 1) * 2 ** random.int(-126, 120),
    () => Math.round(random.normal() * 127.5) / 127.5,
  ][kind]!;
  return Float64Array.from({ length: count }, value);
}

testOp(absQuantile, (random: Random): Case<AbsQuantileAttributes> => {
  const shape = [random.int(1, 3), ...random.pick([[random.int(1, 3000)], [random.int(1, 30), random.int(1, 30), 3]])];
  const type: TensorType = { shape, dtype: "f32" };
  return {
    inputs: [{ type, data: values(random, sizeOf(type)) }],
    attributes: { p: random.pick([0, 1, 0.5, 0.95, 0.995, random.next()]) },
  };
});

describe("order statistics", () => {
  for (const variant of absQuantile.variants)
    it(`are exact to the bit by ${variant.name}`, async () => {
      const gpu = await testGpu();
      const random = new Random(3);
      // A size of 4 j + 1 puts each quarter on an order statistic, so that nothing is interpolated.
      for (const size of [1, 257, 12289]) {
        const type: TensorType = { shape: [2, size], dtype: "f32" };
        const data = Float64Array.from(Float32Array.from(values(random, 2 * size)));
        for (const p of [0, 0.5, 0.75, 1]) {
          const output = absQuantile.infer([type], { p });
          const got = await execute(gpu, variant.launch([type], output, { p }, gpu.traits), [{ type, data }], output);
          const expected = [0, 1].map(
            (n) =>
              data
                .slice(n * size, (n + 1) * size)
                .map(Math.abs)
                .sort()[p * (size - 1)],
          );
          expect([...got], `p ${p} of ${size}`).toEqual(expected);
        }
      }
    });
});

it("abs_quantile refuses a percentage", () => {
  expect(() => absQuantile.infer([{ shape: [1, 12], dtype: "f32" }], { p: 99.5 })).toThrow("in [0, 1], got 99.5");
});
