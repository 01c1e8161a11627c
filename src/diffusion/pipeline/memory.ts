// What a part of a pipeline needs of a device, told before anything is loaded, and how it is made to fit.
import { ReimagenError } from "../../errors.ts";
import type { DeviceTraits } from "../../gpu/traits.ts";
import { compileGraph, type Plan, persistentBytes } from "../../graph/compile.ts";
import { costOf } from "../../graph/cost.ts";
import { type Graph, weightsOf } from "../../graph/graph.ts";
import { checkLimits } from "../../graph/limits.ts";
import { bytesOfType } from "../../graph/plan.ts";
import type { Tiling } from "./tiles.ts";

/** How a part is kept: element types of its activations, and of its matrices and kernels. */
export interface Storage {
  readonly activations: "f32" | "f16";
  readonly weights: "f32" | "f16" | "q8";
}

/** What a plan takes on the device. */
export interface Bytes {
  readonly weights: number;
  /** Results of one dispatch for the next, in memory that they share. */
  readonly intermediate: number;
  /** Inputs, constants, and what outlives a step. */
  readonly persistent: number;
}

/** What a plan takes on the device, and arithmetic that a run takes. */
export interface Needs extends Bytes {
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
export function totalBytes({ weights, intermediate, persistent }: Bytes): number {
  return weights + intermediate + persistent;
}

/** A part that is to run, and the ways in which it can. */
export interface PartChoice {
  /** For messages: its folder. */
  readonly name: string;
  readonly storage: Storage;
  /** The best one first; none for what runs whole. */
  readonly tilings: readonly Tiling[];
  /** Graphs that are on the device together; the first one runs once a tile. */
  graphs(storage: Storage, tiling: Tiling | undefined): readonly Graph[];
}

/** How a part will run. */
export interface PlannedPart {
  readonly name: string;
  readonly storage: Storage;
  readonly needs: Bytes;
  /** Absent for what runs whole. */
  readonly tiling?: Tiling;
}

/** A part as it will run, with its graphs. */
export interface RunningPart extends PlannedPart {
  readonly graphs: readonly Graph[];
}

/**
 * The first way in which the device can hold the part, within `memory` bytes if given. Throws `limit` where there is none: what it needs, what is in
 * the way, and what tiles or 8-bit weights would need.
 */
export function planPart(choice: PartChoice, traits: DeviceTraits, memory = Number.POSITIVE_INFINITY): RunningPart {
  const { name, storage, tilings } = choice;
  const look = (storage: Storage, tiling: Tiling | undefined) => {
    const graphs = choice.graphs(storage, tiling);
    const all = graphs.map((graph) => needsOf(graph, traits));
    const sum = (of: keyof Bytes) => all.reduce((total, needs) => total + needs[of], 0);
    const bytes = { weights: sum("weights"), intermediate: sum("intermediate"), persistent: sum("persistent") };
    const budget = totalBytes(bytes) > memory ? `the memory budget is ${showBytes(memory)}` : undefined;
    return { graphs, bytes, refusal: all.find(({ refusal }) => refusal)?.refusal ?? budget };
  };
  const tried = [];
  for (const tiling of tilings.length ? tilings : [undefined]) {
    const { graphs, bytes, refusal } = look(storage, tiling);
    if (!refusal) return { name, storage, needs: bytes, ...(tiling && { tiling }), graphs };
    tried.push({ bytes, refusal });
  }
  const [whole, smallest] = [tried[0]!, tried.at(-1)!];
  const instead = storage.weights === "q8" ? smallest : look({ ...storage, weights: "q8" }, tilings.at(-1));
  const size = ({ bytes }: { bytes: Bytes }) => showBytes(totalBytes(bytes));
  const sentence = [
    `${name} needs ${size(whole)} with weights in ${storage.weights}: ${whole.refusal}`,
    ...(tried.length > 1 ? [`in the smallest tiles: ${size(smallest)}, which does not fit either`] : []),
    ...(totalBytes(instead.bytes) < totalBytes(smallest.bytes)
      ? [`with --weights q8: ${size(instead)}, which ${instead.refusal ? "does not fit either" : "fits"}`]
      : []),
  ];
  throw new ReimagenError("limit", sentence.join("; "));
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
