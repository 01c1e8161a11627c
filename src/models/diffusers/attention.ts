// How diffusers' U-Nets and autoencoders attend: transformers, added keys and values, and one wide head.
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { add, attention, conv2d, geglu, groupNorm, layerNorm, linear } from "../../graph/layers.ts";
import { namedWeights } from "../named_weights.ts";
import type { AttentionConfig } from "./unet_config.ts";

/** Text as attention reads it. */
export interface TextTokens {
  /** [rows, T, text dim] */
  readonly tokens: Value;
  /** u32 [B, 1, 2]: the row and number of tokens that each sample sees. */
  readonly table: Value;
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
      h = transformerBlock(g, `${name}.transformer_blocks.${depth}`, h, config, text);
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
      : selfAttention(g, `${name}.attn1`, normed("norm1", x), config, { bias: false });
    const first = add(g, attended, x);
    const second = add(g, textAttention(g, `${name}.attn2`, normed("norm2", first), config, text), first);
    const gated = geglu(
      g,
      linear(g, normed("norm3", second), weights.linear(`${name}.ff.net.0.proj`, 8 * channels, channels)),
    );
    return add(g, linear(g, gated, weights.linear(`${name}.ff.net.2`, channels, 4 * channels)), second);
  });
}

/** Attention of a feature map to itself, projections in and out included. */
function selfAttention(g: GraphBuilder, name: string, x: Value, { heads, headDim }: Heads, options: { bias: boolean }) {
  const channels = heads * headDim;
  const weights = namedWeights(g);
  const names = ["to_q", "to_k", "to_v"].map((projection) => `${name}.${projection}`);
  const qkv = linear(g, x, weights.linear(names, channels, channels, options));
  const seen = attention(
    g,
    { q: qkv, table: ownTable(g, x), segments: [qkv] },
    { ...sizes({ heads, headDim }), segments: [{ keys: channels, values: 2 * channels }] },
  );
  return linear(g, seen, weights.linear(`${name}.to_out.0`, channels, channels));
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
 * `table`: u32 [B, 2, 2] (the sample itself, then its text), or the text's own where only the text is attended to.
 */
export function addedAttention(
  g: GraphBuilder,
  name: string,
  x: Value,
  groups: number,
  config: Extract<AttentionConfig, { kind: "added" }>,
  text: Value,
  table: Value,
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
    const textSegment = { keys: 0, values: channels };
    const seen = attention(
      g,
      { q: qkv, table, segments: config.onlyText ? [kv] : [qkv, kv] },
      {
        ...sizes(config),
        segments: config.onlyText ? [textSegment] : [{ keys: channels, values: 2 * channels }, textSegment],
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
