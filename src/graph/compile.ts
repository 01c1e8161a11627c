// From a built graph to a plan: merge, prune, fuse, hoist, choose, place. Pure data, so that it can be explained without running.
import type { DeviceTraits } from "../gpu/traits.ts";
import { sizeOf } from "../ops/op.ts";
import { type Choice, choose } from "./choose.ts";
import { fuse } from "./fuse.ts";
import { type Graph, keptValues, type Node, type Run, runs, type Stage, stages, type Value } from "./graph.ts";
import { hoist } from "./hoist.ts";
import { merge } from "./merge.ts";
import { bytesOfType, type MemoryPlan, planMemory } from "./plan.ts";
import { prune } from "./prune.ts";
import type { Tuning } from "./tuning.ts";
import { winograd } from "./winograd.ts";

/** One dispatch of the plan. */
export interface PlannedNode {
  readonly node: Node;
  readonly choice: Choice;
}

/** What runs at each stage, by which kernels, in which memory. */
export interface Plan {
  readonly graph: Graph;
  /** The short step is empty where there is none; what it has in common with the step are the same dispatches. */
  readonly schedule: Readonly<Record<Run, readonly PlannedNode[]>>;
  /** One plan for all stages: they never overlap, so they share the arenas. */
  readonly memory: MemoryPlan;
  /** Values with a buffer of their own: inputs, constants, and results that a later stage or the caller reads. */
  readonly persistent: readonly Value[];
}

/** Runs all passes; `tuning` is what was measured on this adapter. Throws `kernel` when some node has no kernel on this device. */
export function compileGraph(built: Graph, traits: DeviceTraits, tuning?: Tuning): Plan {
  const graph = winograd(fuse(prune(merge(built)), traits.software), traits);
  const nodes = hoist(graph);
  const persistent = persistentValues(graph, nodes);
  const own = new Set(persistent);
  const alignment = traits.limits.minStorageBufferOffsetAlignment;
  const planned = new Map<Node, PlannedNode>();
  // A tensor without elements (no neighbours) takes no dispatch.
  for (const stage of stages)
    for (const node of nodes[stage])
      if (sizeOf(node.output.type) > 0) planned.set(node, { node, choice: choose(node, traits, tuning) });
  const dispatches = (list: readonly Node[]) => list.flatMap((node) => planned.get(node) ?? []);
  const schedule = Object.fromEntries(runs.map((run) => [run, dispatches(nodesOf(run, nodes))]));
  let memory: MemoryPlan | undefined;
  return {
    graph,
    schedule: schedule as Record<Run, PlannedNode[]>,
    // Planned when it is asked for, as it takes longer than all else: kernels begin to compile before.
    get memory() {
      memory ??= planMemory(
        stages.map((stage) => nodes[stage]),
        own,
        alignment,
      );
      return memory;
    },
    persistent,
  };
}

/** The nodes of a run, in order. */
function nodesOf(run: Run, nodes: Readonly<Record<Stage, readonly Node[]>>): readonly Node[] {
  if (run === "load" || run === "request") return nodes[run];
  if (run === "short step" && !nodes.step.some(({ only }) => only === run)) return [];
  return nodes.step.filter(({ only }) => !only || only === run);
}

/** Bytes of the values that have buffers of their own, weights not counted. */
export function persistentBytes({ persistent, graph }: Plan): number {
  const twice = new Set(graph.instead.values());
  return persistent.reduce((sum, value) => sum + (twice.has(value) ? 0 : bytesOfType(value.type)), 0);
}

function persistentValues(graph: Graph, nodes: Readonly<Record<Stage, readonly Node[]>>): Value[] {
  const found = new Set<Value>(graph.states.map(({ input }) => input));
  const home = new Map<Value, Stage>();
  for (const stage of stages) for (const node of nodes[stage]) home.set(node.output, stage);
  for (const stage of stages)
    for (const node of nodes[stage])
      for (const value of node.inputs) {
        if (!value || value.source.kind === "weight") continue;
        if (value.source.kind !== "node" || home.get(value) !== stage) found.add(value);
      }
  for (const value of keptValues(graph)) found.add(value);
  return [...found];
}
