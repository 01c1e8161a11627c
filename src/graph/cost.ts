// What a dispatch costs, as far as it can be told without running it.
import type { PlannedNode } from "./compile.ts";
import { bytesOfType } from "./plan.ts";

/** Arithmetic and memory traffic of one dispatch. */
export interface Cost {
  /** 0 for ops that only move data. */
  readonly flops: number;
  /** Read and written, once each. */
  readonly bytes: number;
}

/** The cost of a dispatch. */
export function costOf({ node }: PlannedNode): Cost {
  const types = node.inputs.map((value) => value?.type ?? null);
  return {
    flops: node.op.flops?.(types, node.output.type, node.attributes) ?? 0,
    bytes: [...types, node.output.type].reduce((sum, type) => sum + (type ? bytesOfType(type) : 0), 0),
  };
}
