// Re-Imagen (Chen et al., 2022) as one graph: texts, neighbours, and the U-Net step that reads them.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { add, embedding, layerNorm, linear, meanPool, timestepFeatures } from "../graph/layers.ts";
import { levelSide, type ModelConfig } from "./config.ts";
import { aroundLow } from "./residual.ts";
import { textEncoder } from "./text_encoder.ts";
import { type Conditions, downStack, middleEntry, neighborTokensOf, stem, upStack } from "./unet.ts";

/** How many of everything one request has. Pipelines do not depend on these, so other counts compile nothing new. */
export interface RequestShape {
  /** Pictures drawn at once. */
  readonly pictures: number;
  /** U-Net evaluations a picture and step: 2 with guidance, else 1. */
  readonly evaluations: 1 | 2;
  /** Prompts to encode, the empty one included. */
  readonly texts: number;
  /** Neighbours in all; each has a picture and a caption. */
  readonly neighbors: number;
  /** In some steps the two evaluations differ in neighbours alone: there is a short step, which runs the down-stack once for both. */
  readonly shortSteps?: boolean;
}

/** Told of intermediate tensors by name, so that a caller can make them outputs. */
export type Probe = (name: string, value: Value) => void;

const TIME_FEATURES = 128;

/**
 * Adds the model to the builder and returns its prediction [evaluations x pictures, H, W, 3], f32, the conditional evaluations first. x is
 * [pictures, H, W, 3], of any size that `sizeUnit` divides, and so is `low` for super-resolution stages: the low-resolution pictures, enlarged and
 * noised. Neighbours always have the model's own size S.
 *
 * Inputs it declares, per request: `text.ids` u32 [texts + neighbors, text_len] (prompts, then captions), `text.table` u32 [.., 1, 2],
 * `text.lengths` u32 [..], `neighbor.images` [neighbors, S, S, 3] in [-1, 1], `neighbor.table.down.<level>` u32.
 * `level` [1] for super-resolution stages: the noise that was added to `low`, as a time. Models that see no neighbours have no `neighbor.*`.
 * Per step: `t` [1], `residual` [8] where the config has `residual_std` (`residualCoefficients` makes them), `rows` u32 [B] (the text each
 * evaluation is told in its embedding), `table.down.<level>`, `table.middle` and
 * `table.up.<level>` u32 [B, segments, 2] and, with short steps, `table.short.<level>` u32 [pictures, segments, 2] (`tables.ts` fills them).
 */
export function reimagen(
  g: GraphBuilder,
  config: ModelConfig,
  shape: RequestShape,
  x: Value,
  probe?: Probe,
  low?: Value,
): Value {
  const batch = shape.pictures * shape.evaluations;
  const texts = shape.texts + shape.neighbors;
  const ids = g.input("text.ids", [texts, config.text_len], "request", "u32");
  const text = textEncoder(g, config, ids, g.input("text.table", [texts, 1, 2], "request", "u32"));
  const lengths = g.input("text.lengths", [texts], "request", "u32");
  const pooled = g.scope("pool", () => {
    const normed = layerNorm(
      g,
      meanPool(g, text, lengths),
      g.weight("pool_norm.weight", [config.text_dim]),
      g.weight("pool_norm.bias", [config.text_dim]),
    );
    return linear(g, normed, dense(g, "pool", config.time_dim, config.text_dim), { dtype: "f32" });
  });

  const neighbors = config.neighbors ? neighborTokens(g, config, shape, pooled, text) : undefined;
  const segments = neighbors ? 2 : 1;
  const table = (name: string, own: boolean) =>
    g.input(`table.${name}`, [batch, segments + Number(own), 2], "step", "u32");
  const rows = g.input("rows", [batch], "step", "u32");
  const time = g.input("t", [1], "step");
  const level = config.cond_channels ? g.input("level", [1], "request") : undefined;
  const entry = stem(g, config, x, low);
  const conditions = { embedding: condition(g, config, pooled, rows, time, level), text };
  const tables = {
    middle: table("middle", true),
    up: config.up_attention.map((attends, level) =>
      attends ? table(`up.${level}`, config.self_attention[level]!) : undefined,
    ),
  };
  const down = downTables(g, config, "table.down", batch, "step");
  // Both evaluations of a picture see the same x: its stem is computed once.
  const copies = g.constant(rowsOf(batch, shape.pictures), [batch]);
  const both = (value: Value) => (shape.evaluations > 1 ? embedding(g, value, copies) : value);
  const finished = (output: Value) => (low && config.residual_std ? aroundLow(g, both(x), both(low), output) : output);
  const long = () => {
    const skips = downStack(g, config, both(entry), conditions, down);
    for (const [i, skip] of skips.entries()) probe?.(`down.skip${i}`, skip);
    return upStack(g, config, middleEntry(g, config, skips, conditions), skips, conditions, neighbors, tables);
  };
  probe?.("text.tokens", text);
  probe?.("embedding", conditions.embedding);
  for (const [level, tokens] of neighbors?.entries() ?? []) probe?.(`neighbors.level${level}`, tokens);
  if (!shape.shortSteps) return finished(long());
  const firstRows = g.constant(rowsOf(shape.pictures, shape.pictures), [shape.pictures]);
  const short = downTables(g, config, "table.short", shape.pictures, "step");
  const output = g.either(long, () => {
    // Told the same time and text, the evaluations differ from where they meet neighbours.
    const own: Conditions = { embedding: embedding(g, conditions.embedding, firstRows), text };
    const skips = downStack(g, config, entry, own, short);
    const h = both(middleEntry(g, config, skips, own));
    return upStack(g, config, h, skips.map(both), conditions, neighbors, tables);
  });
  return finished(output);
}

/** The neighbours, each with its own caption, at t = 0 and beside a blank low-resolution picture: tokens of each level. */
function neighborTokens(
  g: GraphBuilder,
  config: ModelConfig,
  shape: RequestShape,
  pooled: Value,
  text: Value,
): readonly Value[] {
  const count = shape.neighbors;
  const images = g.input("neighbor.images", [count, config.size, config.size, 3], "request");
  const rows = g.constant(
    Uint32Array.from({ length: count }, (_, i) => shape.texts + i),
    [count],
  );
  const zero = g.constant(new Float32Array(1), [1]);
  const [blank, level] = config.cond_channels
    ? [g.constant(new Float32Array(count * config.size ** 2 * 3), images.type.shape), zero]
    : [];
  const features = g.scope("neighbors", () =>
    downStack(
      g,
      config,
      stem(g, config, images, blank),
      { embedding: condition(g, config, pooled, rows, zero, level), text },
      downTables(g, config, "neighbor.table.down", count, "request"),
    ),
  );
  return config.channels.map((_, level) => {
    // The last feature map of each level.
    const last = config.blocks.slice(0, level + 1).reduce((sum, count) => sum + count, 0) - 1;
    return neighborTokensOf(g, config, level, features[last]!);
  });
}

/** 0 to `period` over and over. */
function rowsOf(count: number, period: number): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => i % period);
}

/** Tokens of a picture at each level, for the lengths in the tables: of one as large as a neighbour unless told otherwise. */
export function tokensOf(
  config: ModelConfig,
  [height, width]: readonly [height: number, width: number] = [config.size, config.size],
): number[] {
  return config.channels.map((_, level) => levelSide(config, level, height) * levelSide(config, level, width));
}

function downTables(g: GraphBuilder, config: ModelConfig, prefix: string, batch: number, stage: "request" | "step") {
  return config.down_attention.map((attends, level) =>
    attends ? g.input(`${prefix}.${level}`, [batch, config.self_attention[level] ? 2 : 1, 2], stage, "u32") : undefined,
  );
}

/** Embedding of time, of the level of noise where there is one, and of pooled text: silu(time + pooled[rows]), [B, time_dim]. */
function condition(
  g: GraphBuilder,
  config: ModelConfig,
  pooled: Value,
  rows: Value,
  t: Value,
  level: Value | undefined,
): Value {
  const first = (name: string, time: Value, options: { activation?: "silu" } = {}) =>
    linear(g, timestepFeatures(g, time, TIME_FEATURES), dense(g, name, config.time_dim, TIME_FEATURES), {
      ...options,
      dtype: "f32",
    });
  return g.scope("embedding", () => {
    const waves = level
      ? add(g, first("time1", t), first("level1", level), "silu")
      : first("time1", t, { activation: "silu" });
    const time = linear(g, waves, dense(g, "time2", config.time_dim, config.time_dim), { dtype: "f32" });
    return add(g, embedding(g, pooled, rows), time, "silu");
  });
}

function dense(g: GraphBuilder, name: string, o: number, i: number) {
  return { weight: g.weight(`${name}.weight`, [o, i], "linear"), bias: g.weight(`${name}.bias`, [o]) };
}
