// The T5 v1.1 encoder (Raffel et al., 2020; Shazeer, 2020) as a graph.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { add, attention, embedding, gatedGelu, linear, rmsNorm } from "../graph/layers.ts";
import type { ModelConfig } from "./config.ts";

const BUCKETS = 32;
const FAR = 128;

/**
 * ids u32 [R, T], table u32 [R, 1, 2] (row and length of each text) -> tokens [R, T, text_dim].
 * Tokens past a text's length are computed from its own tokens and mean nothing.
 */
export function textEncoder(g: GraphBuilder, config: ModelConfig, ids: Value, table: Value): Value {
  const { text_dim: dim, text_heads: heads, text_ff: ff } = config;
  const length = ids.type.shape[1]!;
  const relative = g.weight("text.relative.weight", [BUCKETS, heads]);
  const bias = embedding(g, relative, g.constant(relativeBuckets(length), [2 * length - 1]), { dtype: "f32" });
  let x = embedding(g, g.weight("text.embed.weight", [config.vocab, dim]), ids);
  for (let layer = 0; layer < config.text_layers; layer++)
    x = g.scope(`text.layers.${layer}`, () => {
      const matrix = (name: string, o: number, i: number) => ({
        weight: g.weight(`text.layers.${layer}.${name}.weight`, [o, i], "linear"),
      });
      const h = rmsNorm(g, x, g.weight(`text.layers.${layer}.norm1.weight`, [dim]));
      const names = ["q", "k", "v"].map((name) => `text.layers.${layer}.${name}.weight`);
      const qkv = linear(g, h, { weight: g.weight(names, [dim, dim], "linear") });
      const seen = attention(
        g,
        { q: qkv, table, bias, segments: [qkv] },
        { heads, headDim: dim / heads, scale: 1, queries: 0, segments: [{ keys: dim, values: 2 * dim }] },
      );
      const attended = add(g, linear(g, seen, matrix("o", dim, dim)), x);
      const n = rmsNorm(g, attended, g.weight(`text.layers.${layer}.norm2.weight`, [dim]));
      const gated = gatedGelu(g, linear(g, n, matrix("wi_0", ff, dim)), linear(g, n, matrix("wi_1", ff, dim)));
      return add(g, linear(g, gated, matrix("wo", dim, ff)), attended);
    });
  return rmsNorm(g, x, g.weight("text.norm.weight", [dim]));
}

/** T5's bidirectional relative-position buckets (Raffel et al., 2020, section 2.1), [2T - 1]: of key - query, from -(T - 1) to T - 1. */
export function relativeBuckets(length: number): Uint32Array {
  const half = BUCKETS / 2;
  const exact = half / 2;
  return Uint32Array.from({ length: 2 * length - 1 }, (_, i) => {
    const distance = Math.abs(i - (length - 1));
    const log = exact + Math.trunc((Math.log(Math.max(distance, 1) / exact) / Math.log(FAR / exact)) * (half - exact));
    return (i >= length ? half : 0) + (distance < exact ? distance : Math.min(log, half - 1));
  });
}
