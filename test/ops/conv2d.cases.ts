// Random convolutions, for the tests of their kernels.
import { conv2d } from "../../src/ops/conv2d.ts";
import type { Case, Random } from "./harness.ts";

// Storage of x, z (the second input), w, r (the residual) and y. Compiling takes nearly all of this test's time, and these six
// hold every pair of storages of every two operands; the last two have weights in 8 bits.
const kinds = ["f32", "f16", "q8"] as const;
const storages = ["00000", "11111", "00011", "01100", "10101", "11010", "00200", "11211"].map((digits) =>
  [...digits].map((digit) => kinds[Number(digit)]!),
);

/** One of any shape, storage and epilogue. */
export function randomConv2d(random: Random): Case<Parameters<typeof conv2d.infer>[1]> {
  const odd = random.next() < 0.3;
  const channels = (most: number) => (odd ? random.int(1, most) : 4 * random.int(1, Math.ceil(most / 4)));
  const [x, z, w, r, y] = odd ? storages[0]! : random.pick(storages);
  const [c, c2, o] = [channels(20), random.next() < 0.4 ? channels(12) : 0, channels(40)];
  const kernel = random.pick([1, 1, 2, 3, 3, 3, 5]);
  const attributes = {
    stride: random.pick([1, 1, 2, 3]),
    padding: random.int(0, 2),
    ...(random.next() < 0.3 && { paddingEnd: random.int(0, 2) }),
    ...(random.next() < 0.3 && { scale: random.pick([0.5, Math.SQRT1_2]) }),
    upsample: random.pick([1, 1, 2] as const),
    activation: random.pick(["none", "silu", "gelu", "gelu_erf", "quick_gelu"] as const),
    dtype: y as "f32" | "f16",
  };
  const [batch, height, width] = [random.int(1, 3), random.int(5, 10), random.int(5, 13)];
  const inputs: Case<typeof attributes>["inputs"] = [
    { type: { shape: [batch, height, width, c], dtype: x! } },
    c2 ? { type: { shape: [batch, height, width, c2], dtype: z! } } : null,
    { type: { shape: [kernel, kernel, c + c2, o], dtype: w! } },
    random.pick([null, ...[[o], [1, o], [batch, o]].map((shape) => ({ type: { shape, dtype: "f32" as const } }))]),
    null,
  ];
  const { shape } = conv2d.infer(
    inputs.map((input) => input?.type ?? null),
    attributes,
  );
  if (random.next() < 0.5) inputs[4] = { type: { shape, dtype: r! } };
  return { inputs, attributes };
}
