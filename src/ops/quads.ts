// Variants whose weights four threads hand round: when they fit, and where they are fast.
import type { DeviceTraits } from "../gpu/traits.ts";
import type { TensorType } from "./op.ts";

/** Why four threads cannot make 32 columns of `output` by weights as they lie in memory. */
export function unfitForQuads(weights: TensorType, output: TensorType): string | undefined {
  const columns = output.shape.at(-1)!;
  if (columns < 32) return `${columns} columns, fewer than 32`;
  return weights.dtype === "q8" ? "weights in 8 bits" : undefined;
}

/** Larger subgroups share what they load among more threads: on llvmpipe, of eight, half as fast as `*.subgroup`. */
export function unfavouredQuads(
  _: unknown,
  __: unknown,
  ___: unknown,
  { subgroupSize }: DeviceTraits,
): string | undefined {
  return subgroupSize > 4 ? "for subgroups of 4" : undefined;
}
