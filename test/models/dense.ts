// Layers in plain f64, written from their definitions, of which the references of text encoders are made. Rows of tokens, row-major.
import type { Tensor } from "./random_checkpoint.ts";

/** x [rows, I] by weight [O, I] as PyTorch stores it, and bias [O]: [rows, O]. */
export function dense(x: Float64Array, { shape, data }: Tensor, bias?: Tensor): Float64Array {
  const [outputs, inputs] = shape as [number, number];
  const y = new Float64Array((x.length / inputs) * outputs);
  for (let row = 0; row < x.length / inputs; row++)
    for (let o = 0; o < outputs; o++) {
      let sum = bias ? bias.data[o]! : 0;
      for (let i = 0; i < inputs; i++) sum += x[row * inputs + i]! * data[o * inputs + i]!;
      y[row * outputs + o] = sum;
    }
  return y;
}

/** Rows of a table. */
export function rowsOf({ shape, data }: Tensor, ids: ArrayLike<number>): Float64Array {
  const width = shape[1]!;
  const y = new Float64Array(ids.length * width);
  for (let i = 0; i < ids.length; i++) y.set(data.subarray(ids[i]! * width, (ids[i]! + 1) * width), i * width);
  return y;
}

/** a + b. */
export function plus(a: Float64Array, b: Float64Array): Float64Array {
  return a.map((v, i) => v + b[i]!);
}

/**
 * Attention of one text, T tokens of `heads` heads: q, k and v [T, heads * dim]. `score` makes the final score of a raw product, or
 * -Infinity where the query must not see the key.
 */
export function attend(
  q: Float64Array,
  k: Float64Array,
  v: Float64Array,
  heads: number,
  tokens: number,
  score: (product: number, query: number, key: number, head: number) => number,
): Float64Array {
  const width = q.length / tokens;
  const dim = width / heads;
  const y = new Float64Array(q.length);
  for (let head = 0; head < heads; head++)
    for (let query = 0; query < tokens; query++) {
      const scores = Array.from({ length: tokens }, (_, key) => {
        let product = 0;
        for (let d = 0; d < dim; d++) product += q[query * width + head * dim + d]! * k[key * width + head * dim + d]!;
        return score(product, query, key, head);
      });
      const most = Math.max(...scores);
      const weights = scores.map((s) => Math.exp(s - most));
      const total = weights.reduce((sum, w) => sum + w, 0);
      for (let d = 0; d < dim; d++)
        y[query * width + head * dim + d] = weights.reduce(
          (sum, w, key) => sum + (w / total) * v[key * width + head * dim + d]!,
          0,
        );
    }
  return y;
}
