// The text encoder of our models: a T5 v1.1 encoder under the names of the prototype's checkpoints.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import type { ModelConfig } from "./config.ts";
import { type T5Names, t5Encoder } from "./t5.ts";

/** What a config says of its text encoder. */
export type TextEncoderConfig = Pick<ModelConfig, "vocab" | "text_dim" | "text_heads" | "text_ff" | "text_layers">;

/** ids u32 [R, T], table u32 [R, 1, 2] (row and length of each text) -> tokens [R, T, text_dim]; see `t5Encoder`. `root`: what its tensors' names begin with. */
export function textEncoder(
  g: GraphBuilder,
  config: TextEncoderConfig,
  ids: Value,
  table: Value,
  root = "text",
): Value {
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
  return t5Encoder(g, t5, namesUnder(root), ids, table);
}

const parts = ["norm1", "q", "k", "v", "o", "norm2", "wi_0", "wi_1", "wo"] as const;

function namesUnder(root: string): T5Names {
  return {
    embedding: `${root}.embed.weight`,
    relative: `${root}.relative.weight`,
    norm: `${root}.norm.weight`,
    layer: (index) =>
      Object.fromEntries(parts.map((part) => [part, `${root}.layers.${index}.${part}.weight`])) as ReturnType<
        T5Names["layer"]
      >,
  };
}
