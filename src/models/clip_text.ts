// CLIP's text encoder (Radford et al., 2021) as a graph, by the config.json of public checkpoints.
import { ReimagenError } from "../errors.ts";
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { add, attention, embedding, layerNorm, linear } from "../graph/layers.ts";
import { readPublicConfig } from "./public_config.ts";

/** The sizes of a CLIP text encoder, under the names that its config.json has for them. */
export interface ClipTextConfig {
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly num_attention_heads: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  /** Most tokens of a text. */
  readonly max_position_embeddings: number;
  /** `gelu` is the exact one here. */
  readonly hidden_act: "quick_gelu" | "gelu";
  readonly layer_norm_eps: number;
  /** 2 in files from before the key was meant: the end is then the greatest id of a text. */
  readonly eos_token_id: number;
  /** Width of the projected pooled state; undefined where the class has no projection. */
  readonly projection_dim: number | undefined;
}

/** Reads the config.json of a `CLIPTextModel` or `CLIPTextModelWithProjection`. Throws `config`, naming the key that is not supported. */
export function readClipTextConfig(name: string, text: string): ClipTextConfig {
  const keys = readPublicConfig(name, text);
  keys.choice("model_type", ["clip_text_model"]);
  const classes = keys.list("architectures", ["CLIPTextModel", "CLIPTextModelWithProjection"]);
  const projects = classes.includes("CLIPTextModelWithProjection");
  keys.ignore(...withoutEffect);
  const projection = keys.integer("projection_dim", 512);
  const config = {
    vocab_size: keys.integer("vocab_size", 49408),
    hidden_size: keys.integer("hidden_size"),
    num_attention_heads: keys.integer("num_attention_heads"),
    intermediate_size: keys.integer("intermediate_size"),
    num_hidden_layers: keys.integer("num_hidden_layers"),
    max_position_embeddings: keys.integer("max_position_embeddings", 77),
    hidden_act: keys.choice("hidden_act", ["quick_gelu", "gelu"], "quick_gelu"),
    layer_norm_eps: keys.number("layer_norm_eps", 1e-5),
    eos_token_id: keys.integer("eos_token_id", 49407),
    projection_dim: projects ? projection : undefined,
  };
  if (config.hidden_size % config.num_attention_heads)
    throw keys.unsupported("num_attention_heads", `hidden_size ${config.hidden_size} is not a multiple of it`);
  keys.finish();
  return config;
}

// Of training, of the tokenizer, of how the file came about.
const withoutEffect = [
  "_name_or_path",
  "attention_dropout",
  "bos_token_id",
  "dropout",
  "dtype",
  "initializer_factor",
  "initializer_range",
  "pad_token_id",
  "torch_dtype",
  "transformers_version",
];

/** Whether a tensor of a public checkpoint is of no use to the encoder: a table that counts positions. */
export function clipTextLeaves(name: string): boolean {
  return name === "text_model.embeddings.position_ids";
}

/** What the encoder makes of texts, both [R, T, hidden_size] after the final norm. */
export interface ClipStates {
  /** The states that condition a U-Net: those of the last layer, or of an earlier one where layers are skipped. */
  readonly tokens: Value;
  /** The states of the last layer, for pooling. */
  readonly last: Value;
}

/**
 * ids u32 [R, T], T at most max_position_embeddings, table u32 [R, 1, 2] (row and length of each text; Stable Diffusion counts the padding in)
 * -> states. `skip`: how many of the last layers the tokens leave out; Stable Diffusion 2 needs none, as its checkpoint holds 23 of its encoder's 24 layers.
 * Throws `argument` for longer texts and for more layers than there are. The residual stream is f32 whatever the storage.
 */
export function clipTextEncoder(
  g: GraphBuilder,
  config: ClipTextConfig,
  ids: Value,
  table: Value,
  skip = 0,
): ClipStates {
  const { hidden_size: dim, num_hidden_layers: layers } = config;
  const length = ids.type.shape[1]!;
  if (length > config.max_position_embeddings)
    throw new ReimagenError(
      "argument",
      `the text encoder takes at most ${config.max_position_embeddings} tokens, got ${length}`,
    );
  if (!Number.isInteger(skip) || skip < 0 || skip > layers)
    throw new ReimagenError("argument", `at most ${layers} layers of the text encoder can be skipped, got ${skip}`);
  const table32 = (name: string, rows: number) => g.weight(`text_model.embeddings.${name}.weight`, [rows, dim]);
  const places = g.constant(
    Uint32Array.from({ length }, (_, i) => i),
    [length],
  );
  const position = embedding(g, table32("position_embedding", config.max_position_embeddings), places);
  const states = [add(g, embedding(g, table32("token_embedding", config.vocab_size), ids, { dtype: "f32" }), position)];
  for (let index = 0; index < layers; index++)
    states.push(g.scope(`text.layers.${index}`, () => layer(g, config, index, states[index]!, table)));
  const finish = (x: Value) => norm(g, config, "text_model.final_layer_norm", x);
  const last = finish(states[layers]!);
  return { tokens: skip ? finish(states[layers - skip]!) : last, last };
}

/**
 * The state at each text's end, projected where the config says so: last [R, T, hidden_size], ends u32 [R] (`clipTextEnds`)
 * -> [R, hidden_size or projection_dim].
 */
export function clipPooled(g: GraphBuilder, config: ClipTextConfig, last: Value, ends: Value): Value {
  const { hidden_size: dim, projection_dim: projection } = config;
  const state = embedding(g, last, ends, { rowAxes: 2 });
  if (projection === undefined) return state;
  return linear(g, state, { weight: g.weight("text_projection.weight", [projection, dim], "linear") });
}

/** Where each text of ids [R, T] ends, as a row of all their tokens: the first end token, or the greatest id for configs that do not name it. */
export function clipTextEnds(config: ClipTextConfig, ids: ArrayLike<number>, length: number): Uint32Array<ArrayBuffer> {
  return Uint32Array.from({ length: ids.length / length }, (_, row) => {
    const text = Array.from({ length }, (_, i) => ids[row * length + i]!);
    const end = config.eos_token_id === 2 ? Math.max(...text) : config.eos_token_id;
    return row * length + Math.max(0, text.indexOf(end));
  });
}

/** Causal self-attention and a feed-forward layer, each behind a norm; x [R, T, hidden_size], f32. */
function layer(g: GraphBuilder, config: ClipTextConfig, index: number, x: Value, table: Value): Value {
  const { hidden_size: dim, intermediate_size: ff, num_attention_heads: heads } = config;
  const name = `text_model.encoder.layers.${index}`;
  const affine = (names: readonly string[], o: number, i: number) => ({
    weight: g.weight(
      names.map((each) => `${name}.${each}.weight`),
      [o, i],
      "linear",
    ),
    bias: g.weight(
      names.map((each) => `${name}.${each}.bias`),
      [o],
    ),
  });
  const projections = ["q", "k", "v"].map((each) => `self_attn.${each}_proj`);
  const qkv = linear(g, norm(g, config, `${name}.layer_norm1`, x), affine(projections, dim, dim));
  const headDim = dim / heads;
  const seen = attention(
    g,
    { q: qkv, table, segments: [qkv] },
    {
      heads,
      headDim,
      scale: headDim ** -0.5,
      queries: 0,
      segments: [{ keys: dim, values: 2 * dim }],
      causal: true,
    },
  );
  const attended = add(g, linear(g, seen, affine(["self_attn.out_proj"], dim, dim), { dtype: "f32" }), x);
  const activation = config.hidden_act === "gelu" ? "gelu_erf" : "quick_gelu";
  const h = linear(g, norm(g, config, `${name}.layer_norm2`, attended), affine(["mlp.fc1"], ff, dim), { activation });
  return add(g, linear(g, h, affine(["mlp.fc2"], dim, ff), { dtype: "f32" }), attended);
}

function norm(g: GraphBuilder, { hidden_size: dim, layer_norm_eps: epsilon }: ClipTextConfig, name: string, x: Value) {
  const [gamma, beta] = [g.weight(`${name}.weight`, [dim]), g.weight(`${name}.bias`, [dim])];
  return layerNorm(g, x, gamma, beta, { epsilon, dtype: g.storageFor(dim) });
}
