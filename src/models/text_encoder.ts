// The text encoder of the shipped model: a T5 v1.1 encoder under the names of the prototype's checkpoints.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import type { ModelConfig } from "./config.ts";
import { type T5Names, t5Encoder } from "./t5.ts";

/** ids u32 [R, T], table u32 [R, 1, 2] (row and length of each text) -> tokens [R, T, text_dim]; see `t5Encoder`. */
export function textEncoder(g: GraphBuilder, config: ModelConfig, ids: Value, table: Value): Value {
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
  return t5Encoder(g, t5, names, ids, table);
}

const parts = ["norm1", "q", "k", "v", "o", "norm2", "wi_0", "wi_1", "wo"] as const;

const names: T5Names = {
  embedding: "text.embed.weight",
  relative: "text.relative.weight",
  norm: "text.norm.weight",
  layer: (index) =>
    Object.fromEntries(parts.map((part) => [part, `text.layers.${index}.${part}.weight`])) as ReturnType<
      T5Names["layer"]
    >,
};
