// Random attentions, for the tests of its kernels.
import type { attention } from "../../src/ops/attention.ts";
import type { Case, Input, Random } from "./harness.ts";

// Head dimensions with the storage of q and the segments, and of y. Compiling, once for each of these, takes nearly all of this
// test's time.
const kinds = [
  [8, "f32", "f32"],
  [8, "f16", "f16"],
  [16, "f16", "f32"],
  [24, "f32", "f16"],
  [32, "f32", "f32"],
  [32, "f16", "f16"],
  [40, "f16", "f32"],
  [64, "f32", "f32"],
  [64, "f16", "f16"],
  [64, "f32", "f16"],
  [96, "f16", "f16"],
  [128, "f32", "f32"],
  [128, "f16", "f32"],
  [160, "f32", "f32"],
  [512, "f32", "f16"],
] as const;

/** One of any shape, storage and table. */
export function randomAttention(random: Random): Case<Parameters<typeof attention.infer>[1]> {
  const odd = random.next() < 0.2;
  const [headDim, kind, dtype] = odd ? ([random.int(1, 40), "f32", "f32"] as const) : random.pick(kinds);
  const heads = random.int(1, 3);
  const width = heads * headDim;
  const [batch, queries] = [random.int(1, 3), random.pick([1, random.int(1, 21)])];
  const count = random.int(1, 3);
  const packed = random.next() < 0.5;
  const rows = [packed ? batch : random.int(1, 3), random.int(1, 3), random.int(1, 2)];
  const tokens = [packed ? queries : random.pick([1, random.int(1, 19)]), random.int(1, 33), random.int(1, 40)];
  // A single token a row needs no axis of its own.
  const axis = (extent: number) => (extent === 1 && random.next() < 0.5 ? [] : [extent]);
  const q: Input = { type: { shape: [batch, ...axis(queries), packed ? 3 * width : width], dtype: kind } };
  const segments = Array.from({ length: count }, (_, i): Input => {
    if (i > 0 && random.next() < 0.15) return null;
    return { type: { shape: [rows[i]!, ...axis(tokens[i]!), (i === 0 && packed ? 3 : 2) * width], dtype: kind } };
  });
  // Lengths: the whole segment, part of it, or none; the first stays seen so that there is something to attend to most of the time.
  const table = Array.from({ length: batch * count }, (_, i) => {
    const s = i % count;
    if (!segments[s]) return [0, 0];
    return [
      random.int(0, rows[s]! - 1),
      random.pick([tokens[s]!, random.int(s ? 0 : 1, tokens[s]!), s ? 0 : tokens[s]!]),
    ];
  });
  const bias: Input = random.next() < 0.3 ? { type: { shape: [queries + tokens[0]! - 1, heads], dtype: "f32" } } : null;
  return {
    inputs: [
      q,
      { type: { shape: [batch, count, 2], dtype: "u32" }, data: Float64Array.from(table.flat()) },
      bias,
      ...segments,
    ],
    attributes: {
      heads,
      headDim,
      causal: random.next() < 0.3,
      scale: bias ? 1 : headDim ** -0.5,
      queries: 0,
      segments: segments.map((_, i) =>
        i === 0 && packed ? { keys: width, values: 2 * width } : { keys: 0, values: width },
      ),
      dtype,
    },
  };
}
