// A convolution as Winograd's four ops, and which of many are worth their memory.

import type { Conv2dAttributes } from "./conv2d.ts";
import type { Op, Operands, TensorType } from "./op.ts";
import { OUTPUT_BLOCK, POINTS, TILE_BLOCK, tilesOf } from "./winograd.ts";
import { winogradInput } from "./winograd_input.ts";
import { winogradOutput } from "./winograd_output.ts";
import { winogradProduct } from "./winograd_product.ts";
import { winogradWeights } from "./winograd_weights.ts";

/**
 * Bytes of weights that a graph may hold transformed, beside the plain ones, whose four times they are: enough for models that are
 * drawn on processors with patience, not for those that hardly fit. The convolutions that save most for their bytes have them first.
 */
const mostBytes = 2 ** 28;

/** What transforming a tile of a channel costs, in operations that the products do in the time. */
const transformCost = 1000;

/** An op with its attributes. */
type Applied = readonly [op: Op<never>, attributes: object];

/** The ops that a convolution becomes: of its weights, of x, of both, and of that with bias and residual. */
export interface WinogradOps {
  readonly weights: Applied;
  readonly input: Applied;
  readonly product: Applied;
  readonly output: Applied;
}

/** A convolution in question. */
export interface Convolution {
  readonly types: Operands;
  readonly output: TensorType;
  readonly attributes: Conv2dAttributes;
  readonly flops: number;
  /** Identifies its weights: those who share them pay once. */
  readonly weights: unknown;
}

/** What each convolution becomes; undefined where it stays as it is, as by other than 3 x 3 weights, or where that is no slower. */
export function winogradOps(convolutions: readonly Convolution[]): (WinogradOps | undefined)[] {
  const saved = convolutions.map(savedBy);
  const bytes = convolutions.map(({ types }) => {
    const [, , c, o] = types[2]!.shape as [number, number, number, number];
    return 4 * POINTS * c * Math.ceil(o / OUTPUT_BLOCK) * OUTPUT_BLOCK;
  });
  const loaded = new Set<unknown>();
  let sum = 0;
  for (const i of saved.map((_, i) => i).sort((a, b) => saved[b]! / bytes[b]! - saved[a]! / bytes[a]!)) {
    const { weights } = convolutions[i]!;
    if (saved[i]! <= 0 || loaded.has(weights) || sum + bytes[i]! > mostBytes) continue;
    sum += bytes[i]!;
    loaded.add(weights);
  }
  return convolutions.map((each, i) => (saved[i]! > 0 && loaded.has(each.weights) ? opsOf(each) : undefined));
}

/**
 * Operations less than the convolution's, a picture; 0 where it cannot be replaced. That a product takes 8 tiles at once counts as a least
 * number of them and not by the batch: a picture must not depend on those that it is drawn with.
 */
function savedBy({ types, output, attributes, flops }: Convolution): number {
  const [x, second, w] = types as [TensorType, TensorType | null, TensorType];
  const [kh, kw, channels, outputs] = w.shape as [number, number, number, number];
  const fits =
    !second &&
    (attributes.stride ?? 1) === 1 &&
    kh * kw === 9 &&
    kh === kw &&
    channels % 4 === 0 &&
    outputs % 4 === 0 &&
    [...types, output].every((type) => !type || type.dtype === "f32") &&
    x.shape[3] === channels;
  if (!fits) return 0;
  const tiles = tilesOf(output.shape).tiles / output.shape[0]!;
  if (tiles < TILE_BLOCK / 2) return 0;
  const products = 2 * POINTS * tiles * channels * Math.ceil(outputs / OUTPUT_BLOCK) * OUTPUT_BLOCK;
  return flops / output.shape[0]! - products - transformCost * tiles * (channels + outputs);
}

function opsOf({ output, attributes }: Convolution): WinogradOps {
  const { padding = 0, upsample = 1, activation = "none", scale = 1 } = attributes;
  const [batch, height, width, outputs] = output.shape as [number, number, number, number];
  const { tiles } = tilesOf(output.shape);
  return {
    weights: [winogradWeights as Op<never>, {}],
    input: [winogradInput as Op<never>, { padding, upsample, height, width }],
    product: [winogradProduct as Op<never>, { tiles, outputs }],
    output: [winogradOutput as Op<never>, { batch, height, width, activation, scale }],
  };
}
