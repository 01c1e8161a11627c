// How diffusers' U-Nets and autoencoders attend: transformers, added keys and values, and one wide head.
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { add, attention, conv2d, geglu, groupNorm, layerNorm, linear } from "../../graph/layers.ts";
import { slice } from "../../ops/slice.ts";
import { namedWeights } from "../named_weights.ts";
import type { AttentionConfig } from "./unet_config.ts";

/** Text as attention reads it. */
export interface TextTokens {
  /** [rows, T, text dim] */
  readonly tokens: Value;
  /** u32 [B, 1, 2]: the row and number of tokens that each sample sees. */
  readonly table: Value;
}

/** Keys and values that attentions of feature maps to themselves make of them, side by side, [rows, H, W, 2 channels], by the attention's name. */
export type KeysAndValues = ReadonlyMap<string, Value>;

/** What attention of feature maps to themselves has to do with other evaluations of the same model. */
export interface Exchange {
  /** Where its keys and values go for others to see. */
  readonly given?: Map<string, Value>;
  /** Those of others, which it sees beside its own, in one softmax. */
  readonly taken?: KeysAndValues;
  /** Where it takes some. For a transformer u32 [B, 2, 2]: the sample itself, then the row of the first other and the number of tokens. */
  readonly table?: Value;
}

interface Heads {
  readonly heads: number;
  readonly headDim: number;
}

/** `Transformer2DModel`: x [B, H, W, C] -> the same shape. */
export function transformer(
  g: GraphBuilder,
  name: string,
  x: Value,
  groups: number,
  config: Extract<AttentionConfig, { kind: "transformer" }>,
  text: TextTokens,
  exchange: Exchange = {},
): Value {
  const channels = x.type.shape[3]!;
  const weights = namedWeights(g);
  const projected = (which: string, h: Value) =>
    config.linearProjections
      ? linear(g, h, weights.linear(`${name}.${which}`, channels, channels))
      : conv2d(g, h, weights.conv(`${name}.${which}`, channels, channels, 1));
  return g.scope(name, () => {
    const normed = groupNorm(g, x, { ...weights.norm(`${name}.norm`, channels), groups, epsilon: 1e-6 });
    let h = projected("proj_in", normed);
    for (let depth = 0; depth < config.depth; depth++)
      h = transformerBlock(g, `${name}.transformer_blocks.${depth}`, h, config, text, exchange);
    return add(g, projected("proj_out", h), x);
  });
}

/** `BasicTransformerBlock`: attention to itself (or to the text), to the text, and a feed-forward layer, each behind a layer norm. */
function transformerBlock(
  g: GraphBuilder,
  name: string,
  x: Value,
  config: Extract<AttentionConfig, { kind: "transformer" }>,
  text: TextTokens,
  exchange: Exchange = {},
): Value {
  const channels = x.type.shape[3]!;
  const weights = namedWeights(g);
  const normed = (which: string, h: Value) => {
    const { gamma, beta } = weights.norm(`${name}.${which}`, channels);
    return layerNorm(g, h, gamma, beta);
  };
  return g.scope(name, () => {
    const attended = config.onlyText
      ? textAttention(g, `${name}.attn1`, normed("norm1", x), config, text)
      : selfAttention(g, `${name}.attn1`, normed("norm1", x), config, { bias: false }, exchange);
    const first = add(g, attended, x);
    const second = add(g, textAttention(g, `${name}.attn2`, normed("norm2", first), config, text), first);
    const gated = geglu(
      g,
      linear(g, normed("norm3", second), weights.linear(`${name}.ff.net.0.proj`, 8 * channels, channels)),
    );
    return add(g, linear(g, gated, weights.linear(`${name}.ff.net.2`, channels, 4 * channels)), second);
  });
}

/** Attention of a feature map to itself, and to others where there are some, projections in and out included. */
function selfAttention(
  g: GraphBuilder,
  name: string,
  x: Value,
  { heads, headDim }: Heads,
  options: { bias: boolean },
  exchange: Exchange = {},
): Value {
  const channels = heads * headDim;
  const weights = namedWeights(g);
  const names = ["to_q", "to_k", "to_v"].map((projection) => `${name}.${projection}`);
  const qkv = linear(g, x, weights.linear(names, channels, channels, options));
  const others = exchanged(g, name, qkv, exchange);
  const own = { keys: channels, values: 2 * channels };
  const seen = attention(
    g,
    { q: qkv, table: (others && exchange.table) ?? ownTable(g, x), segments: others ? [qkv, others] : [qkv] },
    { ...sizes({ heads, headDim }), segments: others ? [own, { keys: 0, values: channels }] : [own] },
  );
  return linear(g, seen, weights.linear(`${name}.to_out.0`, channels, channels));
}

/** Gives an attention's keys and values to others, where they are to see them, and returns theirs. */
function exchanged(g: GraphBuilder, name: string, qkv: Value, { given, taken }: Exchange): Value | undefined {
  const channels = qkv.type.shape[3]! / 3;
  given?.set(name, g.apply(slice, [qkv], { from: channels, count: 2 * channels }));
  return taken?.get(name);
}

/** Attention of a feature map to the text, projections in and out included. */
function textAttention(g: GraphBuilder, name: string, x: Value, { heads, headDim }: Heads, text: TextTokens): Value {
  const channels = heads * headDim;
  const weights = namedWeights(g);
  const names = ["to_k", "to_v"].map((projection) => `${name}.${projection}`);
  const bias = { bias: false };
  const q = linear(g, x, weights.linear(`${name}.to_q`, channels, channels, bias));
  const kv = linear(g, text.tokens, weights.linear(names, channels, text.tokens.type.shape.at(-1)!, bias));
  const seen = attention(
    g,
    { q, table: text.table, segments: [kv] },
    { ...sizes({ heads, headDim }), segments: [{ keys: 0, values: channels }] },
  );
  return linear(g, seen, weights.linear(`${name}.to_out.0`, channels, channels));
}

/**
 * One softmax over the feature map ++ the text, whose keys and values are projections of their own. x [B, H, W, C] -> the same shape.
 * `table`: u32 [B, 2, 2] (the sample itself, then its text), with a third entry where it takes something of others, or the text's own where only
 * the text is attended to.
 */
export function addedAttention(
  g: GraphBuilder,
  name: string,
  x: Value,
  groups: number,
  config: Extract<AttentionConfig, { kind: "added" }>,
  text: Value,
  table: Value,
  exchange: Exchange = {},
): Value {
  const channels = x.type.shape[3]!;
  const weights = namedWeights(g);
  return g.scope(name, () => {
    const normed = groupNorm(g, x, { ...weights.norm(`${name}.group_norm`, channels), groups });
    const own = config.onlyText ? ["to_q"] : ["to_q", "to_k", "to_v"];
    const names = own.map((projection) => `${name}.${projection}`);
    const qkv = linear(g, normed, weights.linear(names, channels, channels));
    const added = ["add_k_proj", "add_v_proj"].map((projection) => `${name}.${projection}`);
    const normedText = textNorm(g, name, text, config.textNorm);
    const kv = linear(g, normedText, weights.linear(added, channels, text.type.shape.at(-1)!));
    const others = config.onlyText ? undefined : exchanged(g, name, qkv, exchange);
    const besides = others ? [kv, others] : [kv];
    const seen = attention(
      g,
      { q: qkv, table, segments: config.onlyText ? besides : [qkv, ...besides] },
      {
        ...sizes(config),
        segments: [
          ...(config.onlyText ? [] : [{ keys: channels, values: 2 * channels }]),
          ...besides.map(() => ({ keys: 0, values: channels })),
        ],
      },
    );
    return add(g, linear(g, seen, weights.linear(`${name}.to_out.0`, channels, channels)), x);
  });
}

/** The text's norm: over groups of channels and all tokens of a row, padding included, or over a token. */
function textNorm(g: GraphBuilder, name: string, text: Value, kind: "none" | "group" | "layer"): Value {
  if (kind === "none") return text;
  const norm = namedWeights(g).norm(`${name}.norm_cross`, text.type.shape.at(-1)!);
  return kind === "group" ? groupNorm(g, text, { ...norm, groups: 32 }) : layerNorm(g, text, norm.gamma, norm.beta);
}

/** The attention in the middle of an autoencoder: one head over all channels. x [B, H, W, C] -> the same shape. */
export function wideAttention(g: GraphBuilder, name: string, x: Value, groups: number): Value {
  const channels = x.type.shape[3]!;
  return g.scope(name, () => {
    const norm = { ...namedWeights(g).norm(`${name}.group_norm`, channels), groups, epsilon: 1e-6 };
    const seen = selfAttention(g, name, groupNorm(g, x, norm), { heads: 1, headDim: channels }, { bias: true });
    return add(g, seen, x);
  });
}

function sizes({ heads, headDim }: Heads) {
  return { heads, headDim, scale: headDim ** -0.5, queries: 0 };
}

/** Every sample sees its own row whole. */
function ownTable(g: GraphBuilder, x: Value): Value {
  const [batch, height, width] = x.type.shape as [number, number, number];
  const table = Uint32Array.from({ length: 2 * batch }, (_, i) => (i % 2 ? height * width : i / 2));
  return g.constant(table, [batch, 1, 2]);
}
