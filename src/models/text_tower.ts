// A retriever's text tower as a graph: a T5 v1.1 encoder, the mean of its tokens, and a projection.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { linear, meanPool } from "../graph/layers.ts";
import { namedWeights } from "./named_weights.ts";
import type { RetrieverConfig } from "./retriever_config.ts";
import { type T5Names, t5Encoder } from "./t5.ts";

/** ids u32 [R, text_len], table u32 [R, 1, 2] (row and length of each text), lengths u32 [R] -> [R, dim], not yet of unit length. */
export function textTower(g: GraphBuilder, config: RetrieverConfig, ids: Value, table: Value, lengths: Value): Value {
  const t5 = {
    vocab_size: config.vocab,
    d_model: config.text_dim,
    d_kv: config.text_dim / config.text_heads,
    num_heads: config.text_heads,
    d_ff: config.text_ff,
    num_layers: config.text_layers,
    relative_attention_num_buckets: 32,
    relative_attention_max_distance: 128,
    layer_norm_epsilon: 1e-6,
  };
  const pooled = meanPool(g, t5Encoder(g, t5, names, ids, table), lengths);
  return linear(g, pooled, namedWeights(g).linear("words.out", config.dim, config.text_dim), { dtype: "f32" });
}

const parts = ["norm1", "q", "k", "v", "o", "norm2", "wi_0", "wi_1", "wo"] as const;

const names: T5Names = {
  embedding: "words.text.embed.weight",
  relative: "words.text.relative.weight",
  norm: "words.text.norm.weight",
  layer: (index) =>
    Object.fromEntries(parts.map((part) => [part, `words.text.layers.${index}.${part}.weight`])) as ReturnType<
      T5Names["layer"]
    >,
};
