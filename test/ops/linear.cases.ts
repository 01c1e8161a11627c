// Random linear layers, for the tests of their kernels.
import type { linear } from "../../src/ops/linear.ts";
import type { Case, Random } from "./harness.ts";

// Storage of x, w, r (the residual) and y. Compiling takes nearly all of this test's time, and the first five hold every pair of
// storages of every two operands; the last two have weights in 8 bits.
const kinds = ["f32", "f16", "q8"] as const;
const storages = ["0000", "1111", "0011", "0110", "1001", "0200", "1211"].map((digits) =>
  [...digits].map((digit) => kinds[Number(digit)]!),
);

/** One of any shape, storage and epilogue. */
export function randomLinear(random: Random): Case<Parameters<typeof linear.infer>[1]> {
  const odd = random.next() < 0.3;
  const extent = (most: number) => (odd ? random.int(1, most) : 4 * random.int(1, Math.ceil(most / 4)));
  const [k, n] = [extent(70), extent(90)];
  const rows = random.next() < 0.3 ? [random.int(1, 4)] : [random.int(1, 3), random.int(1, 50)];
  // A residual of fewer rows is repeated.
  const from = random.next() < 0.3 ? random.int(0, rows.length) : 0;
  const [x, w, r, y] = odd ? storages[0]! : random.pick(storages);
  return {
    inputs: [
      { type: { shape: [...rows, k], dtype: x! } },
      { type: { shape: [k, n], dtype: w! } },
      random.next() < 0.5 ? { type: { shape: [n], dtype: "f32" } } : null,
      random.next() < 0.5 ? { type: { shape: [...rows.slice(from), n], dtype: r! } } : null,
    ],
    attributes: {
      activation: random.pick(["none", "silu", "gelu", "quick_gelu", "gelu_erf"] as const),
      dtype: y as "f32" | "f16",
    },
  };
}
