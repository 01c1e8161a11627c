// The T5 v1.1 encoder (Raffel et al., 2020; Shazeer, 2020) as a graph: of public checkpoints, by their config.json, and of the shipped model.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { add, attention, embedding, gatedGelu, linear, rmsNorm } from "../graph/layers.ts";
import { readPublicConfig } from "./public_config.ts";

/** The sizes of a T5 v1.1 encoder, under the names that its config.json has for them. */
export interface T5Config {
  readonly vocab_size: number;
  readonly d_model: number;
  /** Channels of one head; all heads together need not make up d_model. */
  readonly d_kv: number;
  readonly num_heads: number;
  readonly d_ff: number;
  readonly num_layers: number;
  readonly relative_attention_num_buckets: number;
  /** Distances from here on share a bucket. */
  readonly relative_attention_max_distance: number;
  readonly layer_norm_epsilon: number;
}

/** What a checkpoint calls the encoder's tensors. */
export interface T5Names {
  /** [vocab_size, d_model] */
  readonly embedding: string;
  /** [relative_attention_num_buckets, num_heads], one for all layers. */
  readonly relative: string;
  /** [d_model], after the last layer. */
  readonly norm: string;
  layer(index: number): Readonly<Record<"norm1" | "q" | "k" | "v" | "o" | "norm2" | "wi_0" | "wi_1" | "wo", string>>;
}

/** Names of the tensors in public checkpoints. */
export const t5Names: T5Names = {
  embedding: "shared.weight",
  relative: "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
  norm: "encoder.final_layer_norm.weight",
  layer(index) {
    const attends = `encoder.block.${index}.layer.0`;
    const feeds = `encoder.block.${index}.layer.1`;
    const of = (name: string) => `${attends}.SelfAttention.${name}.weight`;
    const dense = (name: string) => `${feeds}.DenseReluDense.${name}.weight`;
    return {
      norm1: `${attends}.layer_norm.weight`,
      q: of("q"),
      k: of("k"),
      v: of("v"),
      o: of("o"),
      norm2: `${feeds}.layer_norm.weight`,
      wi_0: dense("wi_0"),
      wi_1: dense("wi_1"),
      wo: dense("wo"),
    };
  },
};

/** Whether a tensor of a public checkpoint is of no use to the encoder: the decoder's, and a second copy of the embedding. */
export function t5Leaves(name: string): boolean {
  return /^(decoder\.|lm_head\.|encoder\.embed_tokens\.)/.test(name);
}

/** Reads the config.json of a `T5EncoderModel` or `T5ForConditionalGeneration`. Throws `config`, naming the key that is not supported. */
export function readT5Config(name: string, text: string): T5Config {
  const keys = readPublicConfig(name, text);
  keys.choice("model_type", ["t5"]);
  keys.list("architectures", ["T5EncoderModel", "T5ForConditionalGeneration", "T5WithLMHeadModel"]);
  keys.choice("feed_forward_proj", ["gated-gelu"]);
  keys.only(["gelu_new", "gelu_pytorch_tanh"], "dense_act_fn");
  keys.only([true], "is_gated_act");
  keys.only([false], "is_decoder", "add_cross_attention");
  keys.ignore(...withoutEffect);
  const config = {
    vocab_size: keys.integer("vocab_size"),
    d_model: keys.integer("d_model"),
    d_kv: keys.integer("d_kv"),
    num_heads: keys.integer("num_heads"),
    d_ff: keys.integer("d_ff"),
    num_layers: keys.integer("num_layers"),
    relative_attention_num_buckets: keys.integer("relative_attention_num_buckets", 32),
    relative_attention_max_distance: keys.integer("relative_attention_max_distance", 128),
    layer_norm_epsilon: keys.number("layer_norm_epsilon", 1e-6),
  };
  if (config.relative_attention_num_buckets % 4)
    throw keys.unsupported("relative_attention_num_buckets", "it must be a multiple of 4");
  keys.finish();
  return config;
}

// Of training, of the decoder, of generation, of how the file came about.
const withoutEffect = [
  "_name_or_path",
  "bos_token_id",
  "classifier_dropout",
  "decoder_start_token_id",
  "dropout_rate",
  "dtype",
  "eos_token_id",
  "initializer_factor",
  "is_encoder_decoder",
  "n_positions",
  "num_decoder_layers",
  "output_past",
  "pad_token_id",
  "scale_decoder_outputs",
  "task_specific_params",
  "tie_word_embeddings",
  "tokenizer_class",
  "torch_dtype",
  "transformers_version",
  "use_cache",
];

/**
 * ids u32 [R, T], table u32 [R, 1, 2] (row and length of each text) -> tokens [R, T, d_model]. Every position is computed from the text's own tokens,
 * those past its length too, as the public code does under an attention mask; where nobody reads them they mean nothing.
 *
 * The residual stream is f32 whatever the storage: in the largest T5 it outgrows half precision behind the feed-forward layers.
 */
export function t5Encoder(g: GraphBuilder, config: T5Config, names: T5Names, ids: Value, table: Value): Value {
  const { d_model: dim, num_heads: heads, d_kv: headDim, d_ff: ff } = config;
  const inner = heads * headDim;
  const length = ids.type.shape[1]!;
  const norm = (x: Value, name: string) =>
    rmsNorm(g, x, g.weight(name, [dim]), { epsilon: config.layer_norm_epsilon, dtype: g.storageFor(dim) });
  const matrix = (name: string, o: number, i: number) => ({ weight: g.weight(name, [o, i], "linear") });

  const relative = g.weight(names.relative, [config.relative_attention_num_buckets, heads]);
  const bias = embedding(g, relative, g.constant(relativeBuckets(config, length), [2 * length - 1]), { dtype: "f32" });
  let x = embedding(g, g.weight(names.embedding, [config.vocab_size, dim]), ids, { dtype: "f32" });
  for (let index = 0; index < config.num_layers; index++)
    x = g.scope(`text.layers.${index}`, () => {
      const layer = names.layer(index);
      const qkv = linear(g, norm(x, layer.norm1), {
        weight: g.weight([layer.q, layer.k, layer.v], [inner, dim], "linear"),
      });
      const seen = attention(
        g,
        { q: qkv, table, bias, segments: [qkv] },
        { heads, headDim, scale: 1, queries: 0, segments: [{ keys: inner, values: 2 * inner }] },
      );
      const attended = add(g, linear(g, seen, matrix(layer.o, dim, inner), { dtype: "f32" }), x);
      const h = norm(attended, layer.norm2);
      const gated = gatedGelu(g, linear(g, h, matrix(layer.wi_0, ff, dim)), linear(g, h, matrix(layer.wi_1, ff, dim)));
      return add(g, linear(g, gated, matrix(layer.wo, dim, ff), { dtype: "f32" }), attended);
    });
  return norm(x, names.norm);
}

/** T5's bidirectional relative-position buckets (Raffel et al., 2020, section 2.1), [2T - 1]: of key - query, from -(T - 1) to T - 1. */
export function relativeBuckets(
  config: Pick<T5Config, "relative_attention_num_buckets" | "relative_attention_max_distance">,
  length: number,
): Uint32Array {
  const half = config.relative_attention_num_buckets / 2;
  const exact = half / 2;
  const span = Math.log(config.relative_attention_max_distance / exact);
  return Uint32Array.from({ length: 2 * length - 1 }, (_, i) => {
    const distance = Math.abs(i - (length - 1));
    const far = exact + Math.trunc((Math.log(Math.max(distance, 1) / exact) / span) * (half - exact));
    return (i >= length ? half : 0) + (distance < exact ? distance : Math.min(far, half - 1));
  });
}
