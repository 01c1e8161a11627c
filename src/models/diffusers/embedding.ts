// What diffusers' U-Nets know besides the picture: time, a second number or class, and the text as a whole, in one vector.
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { add, attention, embedding, layerNorm, linear, meanPool, timestepFeatures } from "../../graph/layers.ts";
import { namedWeights } from "../named_weights.ts";
import type { UnetConfig } from "./unet_config.ts";

/**
 * The sum of what there is, activated as the residual blocks want it: [1 or B, time dim], f32. time [1 or B]; `classes`: f32 [B] like the
 * time, or u32 [B], rows of the table; `pooled`: [B, time dim].
 */
export function sumEmbedding(
  g: GraphBuilder,
  config: UnetConfig,
  time: Value,
  classes: Value | undefined,
  pooled: Value | undefined,
): Value {
  return g.scope("embedding", () => {
    const { sumActivation } = config.time;
    const others = [pooled, classes && classEmbedding(g, config, classes)].filter((value) => value !== undefined);
    if (others.length === 0) return timeEmbedding(g, config, "time_embedding", time, sumActivation);
    // The sum has the shape of its first part: the time may be one for all samples.
    const [first, second] = others as [Value, Value?];
    const known = second ? add(g, first, second) : first;
    return add(g, known, timeEmbedding(g, config, "time_embedding", time), sumActivation);
  });
}

/** `TimestepEmbedding` of sinusoids: t [B] -> [B, time dim], f32. */
function timeEmbedding(
  g: GraphBuilder,
  { down, time }: UnetConfig,
  name: string,
  t: Value,
  last: UnetConfig["time"]["activation"] = "none",
): Value {
  const weights = namedWeights(g);
  const width = down[0]!.channels;
  const features = timestepFeatures(g, t, width, { scale: 1, order: time.order, shift: time.shift });
  const hidden = linear(g, features, weights.linear(`${name}.linear_1`, time.dim, width), {
    activation: time.activation,
    dtype: "f32",
  });
  return linear(g, hidden, weights.linear(`${name}.linear_2`, time.dim, time.dim), { activation: last, dtype: "f32" });
}

function classEmbedding(g: GraphBuilder, config: UnetConfig, classes: Value): Value {
  if (config.classes.kind !== "table") return timeEmbedding(g, config, "class_embedding", classes);
  const table = g.weight("class_embedding.weight", [config.classes.rows, config.time.dim]);
  return embedding(g, table, classes, { dtype: "f32" });
}

/**
 * `TextTimeEmbedding`: the text's states [R, T, D] pooled by attention from their mean to that mean and themselves -> [R, time dim], f32.
 * All T count, as in diffusers: padding is told from text by what the text encoder made of it.
 */
export function pooledText(g: GraphBuilder, config: UnetConfig, states: Value): Value {
  const [rows, length, dim] = states.type.shape as [number, number, number];
  const heads = config.text.poolHeads;
  const weights = namedWeights(g);
  const normed = (name: string, x: Value) => {
    const { gamma, beta } = weights.norm(name, x.type.shape.at(-1)!);
    return layerNorm(g, x, gamma, beta);
  };
  return g.scope("add_embedding", () => {
    const tokens = normed("add_embedding.norm1", states);
    const mean = meanPool(g, tokens, g.constant(new Uint32Array(rows).fill(length), [rows]));
    const whole = add(g, mean, g.weight("add_embedding.pool.positional_embedding", [1, dim]));
    const names = ["k_proj", "v_proj"].map((projection) => `add_embedding.pool.${projection}`);
    const keysAndValues = weights.linear(names, dim, dim);
    const table = Array.from({ length: rows }, (_, row) => [row, 1, row, length]);
    const seen = attention(
      g,
      {
        q: linear(g, whole, weights.linear("add_embedding.pool.q_proj", dim, dim)),
        table: g.constant(Uint32Array.from(table.flat()), [rows, 2, 2]),
        segments: [linear(g, whole, keysAndValues), linear(g, tokens, keysAndValues)],
      },
      {
        heads,
        headDim: dim / heads,
        scale: (dim / heads) ** -0.5,
        queries: 0,
        segments: [0, 1].map(() => ({ keys: 0, values: dim })),
      },
    );
    const projected = linear(g, seen, weights.linear("add_embedding.proj", config.time.dim, dim), { dtype: "f32" });
    return normed("add_embedding.norm2", projected);
  });
}
