// The U-Net of Re-Imagen (Chen et al., 2022) as a graph: one down-stack for the picture and for its neighbours.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import {
  add,
  attention,
  concat,
  conv2d,
  groupNorm,
  layerNorm,
  linear,
  pixelShuffle,
  pixelUnshuffle,
  toStorage,
  upsample2x,
} from "../graph/layers.ts";
import { levelSide, type ModelConfig } from "./config.ts";
import { namedWeights } from "./named_weights.ts";

/** Text tokens, or one level's neighbour tokens, as attention reads them: [rows, ..., text_dim]. */
export type Tokens = Value;

/** What a stack of the U-Net runs on. */
export interface Conditions {
  /** Time and text embedding, [B, time_dim]. */
  readonly embedding: Value;
  readonly text: Tokens;
}

/** x [B, H, W, 3], and where the model takes one beside it `low` of the same shape -> the stem's feature map [B, H / patch, W / patch, channels[0]]. */
export function stem(g: GraphBuilder, config: ModelConfig, x: Value, low: Value | undefined): Value {
  const inputs = (3 + config.cond_channels) * config.patch ** 2;
  const patches = (picture: Value) => (config.patch > 1 ? pixelUnshuffle(g, picture, config.patch) : picture);
  return g.scope("stem", () => {
    // Joined as patches: those of `low` do not change from step to step.
    const both = low ? concat(g, patches(x), patches(low)) : patches(x);
    return toStorage(g, conv2d(g, both, namedWeights(g).conv("stem", config.channels[0]!, inputs, 3), { padding: 1 }));
  });
}

/** The down-stack `f` after the stem: h -> every block's feature map, in order. `tables` of each level that attends: self where it has it, text. */
export function downStack(
  g: GraphBuilder,
  config: ModelConfig,
  h: Value,
  conditions: Conditions,
  tables: readonly (Value | undefined)[],
): Value[] {
  const skips: Value[] = [];
  config.channels.forEach((channels, level) => {
    if (level > 0)
      h = g.scope(`shrink.${level}`, () =>
        toStorage(
          g,
          conv2d(g, h, namedWeights(g).conv(`shrink.${level}`, channels, config.channels[level - 1]!, 3), {
            stride: 2,
            padding: 1,
          }),
        ),
      );
    for (let block = 0; block < config.blocks[level]!; block++) {
      h = residualBlock(g, config, `down.${level}.${block}`, h, channels, conditions);
      const table = tables[level];
      if (table)
        h = contextAttention(
          g,
          config,
          `down_attn.${level}.${block}`,
          h,
          config.self_attention[level]!,
          [conditions.text],
          table,
        );
      skips.push(h);
    }
  });
  return skips;
}

/** Tokens [rows, side, side, text_dim] of one level from the neighbours' feature map of that level, [rows, side, side, channels]. */
export function neighborTokensOf(g: GraphBuilder, config: ModelConfig, level: number, features: Value): Tokens {
  return g.scope(`neighbor.${level}`, () => {
    const tokens = linear(
      g,
      features,
      namedWeights(g).linear(`neighbor.${level}`, config.text_dim, config.channels[level]!),
    );
    const side = levelSide(config, level);
    const position = g.weight(`neighbor_pos.${level}`, [side * side, config.text_dim], "plain", [
      side,
      side,
      config.text_dim,
    ]);
    return add(g, tokens, position);
  });
}

/** The block before the middle's attention, the last that neither sees neighbours nor what differs by them: the last skip -> its like. */
export function middleEntry(
  g: GraphBuilder,
  config: ModelConfig,
  skips: readonly Value[],
  conditions: Conditions,
): Value {
  return residualBlock(g, config, "mid1", skips.at(-1)!, config.channels.at(-1)!, conditions);
}

/**
 * The middle from its attention on, and the up-stack `g`: prediction [B, H, W, 3], f32. `neighbors`: tokens of each level, of a model that sees them.
 * `tables`: u32 [B, 3, 2] for the middle (self, text, neighbours), and for each level of the up-stack (self where it has it, text, neighbours).
 */
export function upStack(
  g: GraphBuilder,
  config: ModelConfig,
  entry: Value,
  skips: readonly Value[],
  conditions: Conditions,
  neighbors: readonly Tokens[] | undefined,
  tables: { middle: Value; up: readonly (Value | undefined)[] },
): Value {
  const last = config.channels.length - 1;
  const remaining = [...skips];
  const contexts = (level: number) => (neighbors ? [conditions.text, neighbors[level]!] : [conditions.text]);
  let h = contextAttention(g, config, "mid_attn", entry, true, contexts(last), tables.middle, config.attention_pos);
  h = residualBlock(g, config, "mid2", h, config.channels[last]!, conditions);
  for (let level = last; level >= 0; level--) {
    const channels = config.channels[level]!;
    for (let block = 0; block < config.blocks[level]!; block++) {
      h = residualBlock(g, config, `up.${level}.${block}`, concat(g, h, remaining.pop()!), channels, conditions);
      const table = tables.up[level];
      if (table)
        h = contextAttention(
          g,
          config,
          `up_attn.${level}.${block}`,
          h,
          config.self_attention[level]!,
          contexts(level),
          table,
          config.attention_pos,
        );
    }
    if (level > 0)
      h = g.scope(`grow.${level}`, () =>
        toStorage(
          g,
          conv2d(g, upsample2x(g, h), namedWeights(g).conv(`grow.${level}`, config.channels[level - 1]!, channels, 3), {
            padding: 1,
          }),
        ),
      );
  }
  return g.scope("out", () => {
    const outputs = 3 * config.patch ** 2;
    const normed = groupNorm(
      g,
      h,
      { ...namedWeights(g).norm("out_norm", config.channels[0]!), groups: config.norm_groups },
      "silu",
    );
    const y = conv2d(g, normed, namedWeights(g).conv("out", outputs, config.channels[0]!, 3), {
      padding: 1,
      dtype: "f32",
    });
    return config.patch > 1 ? pixelShuffle(g, y, config.patch) : y;
  });
}

/** Two convolutions with group norms, the second modulated by time and text (FiLM). */
function residualBlock(
  g: GraphBuilder,
  config: ModelConfig,
  name: string,
  x: Value,
  outputs: number,
  { embedding }: Conditions,
): Value {
  const inputs = x.type.shape[3]!;
  const weights = namedWeights(g);
  const groups = config.norm_groups;
  return g.scope(name, () => {
    const film = linear(g, embedding, weights.linear(`${name}.film`, 2 * outputs, config.time_dim), { dtype: "f32" });
    const first = groupNorm(g, x, { ...weights.norm(`${name}.norm1`, inputs), groups }, "silu");
    const h = conv2d(g, first, weights.conv(`${name}.conv1`, outputs, inputs, 3), { padding: 1 });
    const second = groupNorm(g, h, { ...weights.norm(`${name}.norm2`, outputs), groups, film }, "silu");
    const skip = inputs === outputs ? x : conv2d(g, x, weights.conv(`${name}.skip`, outputs, inputs, 1));
    return add(g, conv2d(g, second, weights.conv(`${name}.conv2`, outputs, outputs, 3), { padding: 1 }), skip);
  });
}

/**
 * One softmax over self (where `own`) ++ each context; keys and values of the contexts do not depend on x. `positions`: whether queries, own keys and
 * values, and those of the second context, the neighbours, get positions.
 */
function contextAttention(
  g: GraphBuilder,
  config: ModelConfig,
  name: string,
  x: Value,
  own: boolean,
  contexts: readonly Tokens[],
  table: Value,
  positions = false,
): Value {
  const [, height, width, channels] = x.type.shape as [number, number, number, number];
  const weights = namedWeights(g);
  const positioned = (value: Value, which: string) => {
    const extent = value.type.shape.at(-1)!;
    const shape = [height, width, extent];
    return add(g, value, g.weight(`${name}.${which}_pos`, [height * width, extent], "plain", shape));
  };
  return g.scope(name, () => {
    const h = groupNorm(g, x, { ...weights.norm(`${name}.norm`, channels), groups: config.norm_groups });
    const plain = linear(g, h, weights.linear(`${name}.qkv`, (own ? 3 : 1) * channels, channels));
    const qkv = positions ? positioned(plain, "qkv") : plain;
    const { gamma, beta } = weights.norm(`${name}.norm_context`, config.text_dim);
    const context = contexts.map((tokens, i) => {
      const kv = weights.linear(`${name}.kv_context`, 2 * channels, config.text_dim);
      const seen = linear(g, layerNorm(g, tokens, gamma, beta), kv);
      return positions && i === 1 ? positioned(seen, "kv") : seen;
    });
    const seen = attention(
      g,
      { q: qkv, table, segments: own ? [qkv, ...context] : context },
      {
        heads: channels / config.head_dim,
        headDim: config.head_dim,
        scale: config.head_dim ** -0.5,
        queries: 0,
        segments: [
          ...(own ? [{ keys: channels, values: 2 * channels }] : []),
          ...context.map(() => ({ keys: 0, values: channels })),
        ],
      },
    );
    return add(g, linear(g, seen, weights.linear(`${name}.out`, channels, channels)), x);
  });
}
