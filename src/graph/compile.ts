// From a built graph to a plan: prune, fuse, hoist, choose, place. Pure data, so that it can be explained without running.
import type { DeviceTraits } from "../gpu/gpu.ts";
import { sizeOf } from "../ops/op.ts";
import { type Choice, choose } from "./choose.ts";
import { fuse } from "./fuse.ts";
import { type Graph, keptValues, type Node, type Stage, stages, type Value } from "./graph.ts";
import { hoist } from "./hoist.ts";
import { bytesOfType, type MemoryPlan, planMemory } from "./plan.ts";
import { prune } from "./prune.ts";
import type { Tuning } from "./tuning.ts";

/** One dispatch of the plan. */
export interface PlannedNode {
  readonly node: Node;
  readonly choice: Choice;
}

/** What runs at each stage, by which kernels, in which memory. */
export interface Plan {
  readonly graph: Graph;
  readonly schedule: Readonly<Record<Stage, readonly PlannedNode[]>>;
  /** One plan for all stages: they never overlap, so they share the arenas. */
  readonly memory: MemoryPlan;
  /** Values with a buffer of their own: inputs, constants, and results that a later stage or the caller reads. */
  readonly persistent: readonly Value[];
}

/** Runs all passes; `tuning` is what was measured on this adapter. Throws `kernel` when some node has no kernel on this device. */
export function compileGraph(built: Graph, traits: DeviceTraits, tuning?: Tuning): Plan {
  const graph = fuse(prune(built));
  const nodes = hoist(graph);
  const persistent = persistentValues(graph, nodes);
  const own = new Set(persistent);
  const alignment = traits.limits.minStorageBufferOffsetAlignment;
  const each = <T>(make: (stage: Stage) => T) =>
    Object.fromEntries(stages.map((s) => [s, make(s)])) as Record<Stage, T>;
  return {
    graph,
    schedule: each((stage) =>
      nodes[stage]
        // A tensor without elements (no neighbours) takes no dispatch.
        .filter(({ output }) => sizeOf(output.type) > 0)
        .map((node) => ({ node, choice: choose(node, traits, tuning) })),
    ),
    memory: planMemory(
      stages.map((stage) => nodes[stage]),
      own,
      alignment,
    ),
    persistent,
  };
}

/** Bytes of the values that have buffers of their own, weights not counted. */
export function persistentBytes(plan: Plan): number {
  return plan.persistent.reduce((sum, value) => sum + bytesOfType(value.type), 0);
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
