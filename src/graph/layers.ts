// The vocabulary in which models are written: one function an op, taking a builder and symbolic tensors.
import type { Activation } from "../ops/activation.ts";
import { add as addOp } from "../ops/add.ts";
import { type AttentionAttributes, attention as attentionOp } from "../ops/attention.ts";
import { averagePool as averagePoolOp } from "../ops/average_pool.ts";
import { cast as castOp } from "../ops/cast.ts";
import { concat as concatOp } from "../ops/concat.ts";
import { type Conv2dAttributes, conv2d as conv2dOp } from "../ops/conv2d.ts";
import { type EmbeddingAttributes, embedding as embeddingOp } from "../ops/embedding.ts";
import { gatedGelu as gatedGeluOp } from "../ops/gated_gelu.ts";
import { geglu as gegluOp } from "../ops/geglu.ts";
import { groupNormAffine } from "../ops/group_norm.ts";
import { layerNorm as layerNormOp } from "../ops/layer_norm.ts";
import { linear as linearOp } from "../ops/linear.ts";
import { meanPool as meanPoolOp } from "../ops/mean_pool.ts";
import { normalize } from "../ops/normalize.ts";
import { pixelShuffle as pixelShuffleOp, pixelUnshuffle as pixelUnshuffleOp } from "../ops/pixel_shuffle.ts";
import { resize as resizeOp } from "../ops/resize.ts";
import { rmsNorm as rmsNormOp } from "../ops/rms_norm.ts";
import type { RowNormAttributes } from "../ops/row_norm.ts";
import { type TimestepFeaturesAttributes, timestepFeatures as timestepFeaturesOp } from "../ops/timestep_features.ts";
import type { GraphBuilder, Value } from "./graph.ts";

/** A weight matrix or kernel with its bias. */
export interface Affine {
  readonly weight: Value;
  readonly bias?: Value | undefined;
}

/** Parameters of a norm, one of each a channel. */
export interface Norm {
  readonly gamma: Value;
  readonly beta: Value;
}

/** x [..., K] -> [..., N]. Results that meet only f32 operands can ask for f32 storage. */
export function linear(
  g: GraphBuilder,
  x: Value,
  { weight, bias }: Affine,
  options: { activation?: Activation; dtype?: "f32" } = {},
): Value {
  const packed = inFours(weight.type.shape);
  const dtype = options.dtype ?? (packed ? g.storage : "f32");
  const operands = [packed ? x : single(g, x), weight, bias ?? null, null];
  return g.apply(linearOp, operands, { activation: options.activation ?? "none", dtype });
}

/** x [B, H, W, C] -> [B, HO, WO, O]; see the op for the options. */
export function conv2d(
  g: GraphBuilder,
  x: Value,
  { weight, bias }: Affine,
  options: Pick<Conv2dAttributes, "stride" | "padding" | "paddingEnd"> & { dtype?: "f32" } = {},
): Value {
  const packed = inFours([weight.type.shape[3]!, x.type.shape[3]!]);
  const dtype = options.dtype ?? (packed ? g.storage : "f32");
  return g.apply(conv2dOp, [packed ? x : single(g, x), null, weight, bias ?? null, null], {
    stride: 1,
    padding: 0,
    ...options,
    dtype,
  });
}

/** Group norm (Wu & He, 2018), with FiLM (scale, shift) and an activation. x [B, ..., C] -> the same shape. */
export function groupNorm(
  g: GraphBuilder,
  x: Value,
  { gamma, beta, groups, epsilon = 1e-5, film }: Norm & { groups: number; epsilon?: number; film?: Value | undefined },
  activation: Activation = "none",
): Value {
  const affine = g.apply(groupNormAffine, [x, null, gamma, beta, film ?? null], { groups, epsilon });
  return g.apply(normalize, [x, null, affine], { activation, dtype: g.storageFor(x.type.shape.at(-1)!) });
}

/** Layer norm over the last axis, of x's storage unless told otherwise. */
export function layerNorm(
  g: GraphBuilder,
  x: Value,
  gamma: Value,
  beta: Value,
  options: Partial<RowNormAttributes> = {},
): Value {
  return g.apply(layerNormOp, [x, gamma, beta], { epsilon: 1e-5, ...options });
}

/** Root-mean-square norm over the last axis (Zhang & Sennrich, 2019), of x's storage unless told otherwise. */
export function rmsNorm(g: GraphBuilder, x: Value, gamma: Value, options: Partial<RowNormAttributes> = {}): Value {
  return g.apply(rmsNormOp, [x, gamma], { epsilon: 1e-6, ...options });
}

/** One softmax over the keys of all segments; see the op for the operands. */
export function attention(
  g: GraphBuilder,
  operands: { q: Value; table: Value; bias?: Value; segments: readonly (Value | null)[] },
  attributes: AttentionAttributes,
): Value {
  const { q, table, bias, segments } = operands;
  const read = [q, ...segments].filter((value) => value !== null);
  const packed = inFours([attributes.headDim, ...read.map(({ type }) => type.shape.at(-1)!)]);
  const alike = new Set(read.slice(1).map(({ type }) => type.dtype)).size <= 1;
  const stored = (value: Value) => (packed && alike ? value : single(g, value));
  return g.apply(
    attentionOp,
    [stored(q), table, bias ?? null, ...segments.map((value) => value && stored(value))],
    attributes,
  );
}

/** a + b, b broadcast over leading axes, then the activation, times the scale. */
export function add(g: GraphBuilder, a: Value, b: Value, activation: Activation = "none", scale = 1): Value {
  return g.apply(addOp, [a, b], { activation, scale });
}

/** [x | y] along the last axis. */
export function concat(g: GraphBuilder, x: Value, y: Value): Value {
  return g.apply(concatOp, [x, y], {});
}

/** Rows of a table: table [V, ...], ids u32 [...] -> [..., ...]; see the op for the options. */
export function embedding(g: GraphBuilder, table: Value, ids: Value, options: EmbeddingAttributes = {}): Value {
  return g.apply(embeddingOp, [table, ids], options);
}

/** gelu(a) * b (Shazeer, 2020). */
export function gatedGelu(g: GraphBuilder, a: Value, b: Value): Value {
  return g.apply(gatedGeluOp, [a, b], {});
}

/** x [..., 2F] -> [..., F]: the first half times gelu of the second (Shazeer, 2020). */
export function geglu(g: GraphBuilder, x: Value): Value {
  return g.apply(gegluOp, [x], {});
}

/** Mean over the first `lengths` tokens: x [R, T, D], lengths u32 [R] -> [R, D]. */
export function meanPool(g: GraphBuilder, x: Value, lengths: Value): Value {
  return g.apply(meanPoolOp, [x, lengths], {});
}

/** Sinusoids of a time, in [0, 1] unless a scale is given: t [B] -> [B, dim], cosines first; see the op for the options. */
export function timestepFeatures(
  g: GraphBuilder,
  t: Value,
  dim: number,
  options: Partial<TimestepFeaturesAttributes> = {},
): Value {
  return g.apply(timestepFeaturesOp, [t], { dim, order: "cos-sin", ...options });
}

/** [B, H, W, C] -> [B, H / factor, W / factor, C factor^2]. */
export function pixelUnshuffle(g: GraphBuilder, x: Value, factor: number): Value {
  return g.apply(pixelUnshuffleOp, [x], { factor, dtype: g.storageFor(x.type.shape[3]! * factor * factor) });
}

/** [B, H, W, C factor^2] -> [B, H factor, W factor, C]; f32, as what follows is the sampler's arithmetic. */
export function pixelShuffle(g: GraphBuilder, x: Value, factor: number): Value {
  return g.apply(pixelShuffleOp, [x], { factor, dtype: "f32" });
}

/** Nearest-neighbour enlargement by 2. */
export function upsample2x(g: GraphBuilder, x: Value): Value {
  const [, height, width] = x.type.shape as [number, number, number];
  return resizeNearest(g, x, 2 * height, 2 * width);
}

/** x [B, H, W, C] -> [B, height, width, C] by nearest neighbour. */
export function resizeNearest(g: GraphBuilder, x: Value, height: number, width: number): Value {
  return g.apply(resizeOp, [x], { height, width, mode: "nearest" });
}

/** Mean of each 2x2 pixels: x [B, H, W, C] -> [B, H / 2, W / 2, C], rounded down. */
export function averagePool(g: GraphBuilder, x: Value): Value {
  return g.apply(averagePoolOp, [x], {});
}

/** The same values in f32: scalar kernels, for channels that do not come in fours, know nothing else. */
function single(g: GraphBuilder, x: Value): Value {
  return x.type.dtype === "f16" ? g.apply(castOp, [x], { dtype: "f32" }) : x;
}

const inFours = (extents: readonly number[]) => extents.every((extent) => extent % 4 === 0);

/** The same values in the graph's own storage. */
export function toStorage(g: GraphBuilder, x: Value): Value {
  const dtype = g.storageFor(x.type.shape.at(-1)!);
  return x.type.dtype === dtype ? x : g.apply(castOp, [x], { dtype });
}
