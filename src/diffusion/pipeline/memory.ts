// What a part of a pipeline needs of a device, told before anything is loaded.
import { ReimagenError } from "../../errors.ts";
import type { DeviceTraits } from "../../gpu/gpu.ts";
import { compileGraph, type Plan, persistentBytes } from "../../graph/compile.ts";
import { costOf } from "../../graph/cost.ts";
import { type Graph, weightsOf } from "../../graph/graph.ts";
import { checkLimits } from "../../graph/limits.ts";
import { bytesOfType } from "../../graph/plan.ts";

/** How a part is kept: element types of its activations, and of its matrices and kernels. */
export interface Storage {
  readonly activations: "f32" | "f16";
  readonly weights: "f32" | "f16" | "q8";
}

/** Bytes that a plan takes on the device, and arithmetic that a run takes. */
export interface Needs {
  readonly weights: number;
  /** Results of one dispatch for the next, in memory that they share. */
  readonly intermediate: number;
  /** Inputs, constants, and what outlives a step. */
  readonly persistent: number;
  /** Of the request and of each step. */
  readonly flops: { readonly request: number; readonly step: number };
  /** Why the device cannot run it: the limit and what exceeds it. */
  readonly refusal: string | undefined;
}

/** What the graph needs on a device. Throws `kernel`. */
export function needsOf(graph: Graph, traits: DeviceTraits): Needs {
  const plan = compileGraph(graph, traits);
  const flops = (stage: "request" | "step") => plan.schedule[stage].reduce((sum, each) => sum + costOf(each).flops, 0);
  return {
    weights: weightsOf(graph).reduce((sum, { type }) => sum + bytesOfType(type), 0),
    intermediate: plan.memory.arenas.reduce((sum, bytes) => sum + bytes, 0),
    persistent: persistentBytes(plan),
    flops: { request: flops("request"), step: flops("step") },
    refusal: refusalOf(plan, traits),
  };
}

/** All bytes. */
export function totalBytes({ weights, intermediate, persistent }: Needs): number {
  return weights + intermediate + persistent;
}

/** Throws `limit` where the device cannot hold the part: what it needs, which limit is in the way, and what 8-bit weights would need. */
export function checkFits(
  name: string,
  graph: (storage: Storage) => Graph,
  storage: Storage,
  traits: DeviceTraits,
): void {
  const needs = needsOf(graph(storage), traits);
  if (!needs.refusal) return;
  const smaller = storage.weights === "q8" ? undefined : needsOf(graph({ ...storage, weights: "q8" }), traits);
  const instead = smaller && `; with --weights q8: ${showBytes(totalBytes(smaller))}`;
  const fits = smaller && (smaller.refusal ? ", which does not fit either" : ", which fits");
  throw new ReimagenError(
    "limit",
    `${name} needs ${showBytes(totalBytes(needs))} with weights in ${storage.weights}: ${needs.refusal}${instead ?? ""}${fits ?? ""}`,
  );
}

/** A size for people. */
export function showBytes(bytes: number): string {
  const [unit, size] = bytes < 1e9 ? ["MB", bytes / 1e6] : ["GB", bytes / 1e9];
  return `${size < 10 ? size.toFixed(2) : size.toFixed(size < 100 ? 1 : 0)} ${unit}`;
}

function refusalOf(plan: Plan, { limits }: DeviceTraits): string | undefined {
  try {
    checkLimits(limits, plan);
    return undefined;
  } catch (error) {
    if (error instanceof ReimagenError && error.code === "limit") return error.message;
    throw error;
  }
}
