// Variants on subgroup matrices: when they fit, and in which tiles they work.
import type { Kernel } from "../gpu/kernel.ts";
import type { DeviceTraits, MatrixShape } from "../gpu/traits.ts";
import { lazyKernels, unfitForHardware } from "./lazy_kernels.ts";
import type { TensorType } from "./op.ts";

/** How a product is laid over subgroups. */
export interface MatrixTile {
  /** Subgroups over rows, over columns, and that share what is summed. */
  readonly down: number;
  readonly across: number;
  readonly deep: number;
  /** Matrices of a subgroup over rows; over columns there are two. */
  readonly fragments: 2 | 4;
  /** Values of what is summed that a step takes. */
  readonly depth: number;
}

/**
 * In order of preference where there are many workgroups: with matrices of 16 x 16 tiles of 128 x 128, of 64 x 64, and of 32 x 32 whose
 * sums four subgroups share, for products of few rows and columns.
 */
export const matrixTiles = {
  matrix: { down: 2, across: 4, deep: 1, fragments: 4, depth: 32 },
  matrix_small: { down: 2, across: 2, deep: 1, fragments: 2, depth: 32 },
  matrix_deep: { down: 1, across: 1, deep: 4, fragments: 2, depth: 64 },
} as const satisfies Record<string, MatrixTile>;

/** Why matrices cannot run here, or not on these factors. */
export function unfitForMatrix(
  traits: DeviceTraits,
  tile: MatrixTile,
  ...factors: readonly (TensorType | null | undefined)[]
): string | undefined {
  const { down, across, deep, depth } = tile;
  return (
    unfitForMatrices(traits, factors) ??
    beyondLimits(traits, down * across * deep, ({ M, N }, operandBytes) => {
      const [rows, columns] = tileSize(tile, { M, N });
      const operands = rows * (depth + 8) + depth * (columns + 8);
      return operands * operandBytes + down * across * deep * M * (N + 4) * 4;
    })
  );
}

/** Why matrices cannot run here at all, or not on these factors. */
export function unfitForMatrices(
  { matrix, subgroupSize }: DeviceTraits,
  factors: readonly (TensorType | null | undefined)[],
): string | undefined {
  if (!matrix) return "no subgroup matrices";
  if (!subgroupSize) return "no fixed subgroup size";
  const absent = unfitForHardware();
  if (absent) return absent;
  // Rounded to halves, singles would be others.
  return matrix.operands === "f16" && factors.some((type) => type?.dtype === "f32") ? "factors of f32" : undefined;
}

/** Why workgroups of so many subgroups cannot run here, for bytes of workgroup memory by the matrices' shape and the bytes of an operand. */
export function beyondLimits(
  { matrix, subgroupSize, limits }: DeviceTraits,
  subgroups: number,
  bytesFor: (matrix: MatrixShape, operandBytes: number) => number,
): string | undefined {
  const threads = subgroups * subgroupSize;
  if (threads > limits.maxComputeInvocationsPerWorkgroup) return `needs workgroups of ${threads} threads`;
  const bytes = bytesFor(matrix!, matrix!.operands === "f16" ? 2 : 4);
  return bytes > limits.maxComputeWorkgroupStorageSize ? `needs ${bytes} bytes of workgroup memory` : undefined;
}

/** Rows and columns of y that a workgroup makes. */
export function tileSize(
  { down, across, fragments }: MatrixTile,
  { M, N }: { M: number; N: number },
): [number, number] {
  return [down * fragments * M, across * 2 * N];
}

/** What a matrix kernel has beyond that of another variant of its op; `code`: what comes before the op's operands. */
export interface MatrixParts extends Required<Pick<Kernel, "enable" | "operands" | "constants">> {
  readonly code: string;
}

/** A product's kernel, by its tile. */
export function matrixProduct(op: "linear" | "conv2d", tile: MatrixTile, traits: DeviceTraits): MatrixParts {
  const { down, across, deep, fragments, depth } = tile;
  return matrixParts(lazyKernels.hardware![op] + lazyKernels.hardware!.matrixProduct, traits, {
    ...{ DOWN: down, ACROSS: across, DEEP: deep, FRAGMENTS: fragments, DEPTH: depth },
  });
}

/** Subgroups of a workgroup of attention, each of which takes M queries: as many as workgroup memory usually has room for. */
export function attentionSubgroups(headDim: number): number {
  return headDim > 64 ? 2 : 4;
}

/** Attention's kernel. */
export function matrixAttention(headDim: number, traits: DeviceTraits): MatrixParts {
  return matrixParts(lazyKernels.hardware!.attention, traits, { SUBGROUPS: attentionSubgroups(headDim), D: headDim });
}

function matrixParts(
  code: string,
  { matrix, subgroupSize }: DeviceTraits,
  constants: Record<string, number>,
): MatrixParts {
  const { M, N, K, operands } = matrix!;
  const f16 = operands === "f16" ? ["f16"] : [];
  return {
    code: lazyKernels.hardware!.matrix + code,
    enable: [...f16, "subgroups", "chromium_experimental_subgroup_matrix"],
    operands,
    constants: { M, N, K, LANES: subgroupSize, ...constants },
  };
}
