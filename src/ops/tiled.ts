// Variants of products in f32 by 8 x 8 outputs a thread: in which tiles they work, and how their kernels are put together.
import type { Kernel } from "../gpu/kernel.ts";
import type { DeviceTraits } from "../gpu/traits.ts";
import { lazyKernels, unfitForHardware } from "./lazy_kernels.ts";

/** Threads over rows, over columns, and that share what is summed; values of what is summed that a step takes. */
export interface ThreadTile {
  readonly down: number;
  readonly across: number;
  readonly deep: number;
  readonly depth: number;
}

/** Tiles of 128 x 128, for many workgroups, and of 32 x 32 whose sums eight threads share, for few. */
export const threadTiles = {
  tiled_wide: { down: 16, across: 16, deep: 1, depth: 8 },
  tiled_deep: { down: 4, across: 4, deep: 8, depth: 32 },
} as const satisfies Record<string, ThreadTile>;

/** Why such a tile cannot run here. */
export function unfitForTile({ down, across, deep }: ThreadTile, { limits }: DeviceTraits): string | undefined {
  const threads = down * across * deep;
  if (threads > limits.maxComputeInvocationsPerWorkgroup) return `needs workgroups of ${threads} threads`;
  return unfitForHardware();
}

/** Fewer workgroups leave parts of a large GPU without work. */
const fewWorkgroups = 96;

type Size = readonly [rows: number, columns: number];

const workgroupsOf = (tile: Size, result: Size) => Math.ceil(result[0] / tile[0]) * Math.ceil(result[1] / tile[1]);

/** Why smaller tiles are probably faster for a result of this size. */
export function tooFew(tile: Size, result: Size): string | undefined {
  const workgroups = workgroupsOf(tile, result);
  return workgroups < fewWorkgroups ? `only ${workgroups} workgroups` : undefined;
}

/** Why one of these tiles is probably slower than another for a result of this size: threads share sums only where the portable tile of 64 x 64 leaves too little to do. */
export function unfavouredTile(tile: ThreadTile, result: Size): string | undefined {
  if (tile.deep === 1) return tooFew(threadTileSize(tile), result);
  return tooFew([64, 64], result) ? undefined : "enough workgroups of larger tiles";
}

/** Rows and columns of y that a workgroup makes. */
export function threadTileSize({ down, across }: ThreadTile): [number, number] {
  return [down * 8, across * 8];
}

/** What a product's kernel has beyond that of another variant of its op; `code`: what comes before the op's operands. */
export function tiledProduct(
  op: "linear" | "conv2d",
  { down, across, deep, depth }: ThreadTile,
): { readonly code: string } & Required<Pick<Kernel, "operands" | "constants">> {
  return {
    code: lazyKernels.hardware![op] + lazyKernels.hardware!.multiplyAdd + lazyKernels.hardware!.tiledProduct,
    operands: "f32",
    constants: { DOWN: down, ACROSS: across, DEEP: deep, DEPTH: depth },
  };
}
