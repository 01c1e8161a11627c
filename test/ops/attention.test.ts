import { attention } from "../../src/ops/attention.ts";
import { type Case, type Input, type Random, storage, testOp } from "./harness.ts";

function randomAttention(random: Random): Case<Parameters<typeof attention.infer>[1]> {
  const odd = random.next() < 0.2;
  const headDim = odd ? random.int(1, 40) : random.pick([8, 16, 24, 32, 40, 64, 64, 96, 128]);
  const heads = random.int(1, 3);
  const width = heads * headDim;
  const [batch, queries] = [random.int(1, 3), random.int(1, 21)];
  const kind = odd ? "f32" : storage(random, 4);
  const count = random.int(1, 3);
  const packed = random.next() < 0.5;
  const rows = [packed ? batch : random.int(1, 3), random.int(1, 3), random.int(1, 2)];
  const tokens = [packed ? queries : random.int(1, 19), random.int(1, 33), random.int(1, 40)];
  const q: Input = { type: { shape: [batch, queries, packed ? 3 * width : width], dtype: kind } };
  const segments = Array.from({ length: count }, (_, i): Input => {
    if (i > 0 && random.next() < 0.15) return null;
    return { type: { shape: [rows[i]!, tokens[i]!, (i === 0 && packed ? 3 : 2) * width], dtype: kind } };
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
  const bias: Input = random.next() < 0.3 ? { type: { shape: [queries, tokens[0]!, heads], dtype: "f32" } } : null;
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
      scale: bias ? 1 : headDim ** -0.5,
      queries: 0,
      segments: segments.map((_, i) =>
        i === 0 && packed ? { keys: width, values: 2 * width } : { keys: 0, values: width },
      ),
      dtype: odd ? "f32" : storage(random, 4),
    },
  };
}

testOp(attention, randomAttention);
