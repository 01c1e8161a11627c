// A retriever's text tower as a graph: a T5 v1.1 encoder, the mean of its tokens, and a projection.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { linear, meanPool } from "../graph/layers.ts";
import { namedWeights } from "./named_weights.ts";
import type { RetrieverConfig } from "./retriever_config.ts";
import { textEncoder } from "./text_encoder.ts";

/** ids u32 [R, text_len], table u32 [R, 1, 2] (row and length of each text), lengths u32 [R] -> [R, dim], not yet of unit length. */
export function textTower(g: GraphBuilder, config: RetrieverConfig, ids: Value, table: Value, lengths: Value): Value {
  const pooled = meanPool(g, textEncoder(g, config, ids, table, "words.text"), lengths);
  return linear(g, pooled, namedWeights(g).linear("words.out", config.dim, config.text_dim), { dtype: "f32" });
}
