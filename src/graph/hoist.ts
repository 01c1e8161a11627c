// Pass: finds the rarest stage at which each node can run, so that what depends only on the request leaves the step.
import { type Graph, type Node, type Stage, stages, type Value } from "./graph.ts";

/** Nodes by stage, in topological order: those on weights alone run once per load, those on the request's inputs once per request. */
export function hoist(graph: Graph): Record<Stage, Node[]> {
  const found = new Map<Value, Stage>();
  const schedule: Record<Stage, Node[]> = { load: [], request: [], step: [] };
  for (const node of graph.nodes) {
    const rank = Math.max(0, ...node.inputs.map((value) => (value ? stages.indexOf(stageOf(value, found)) : 0)));
    const stage = stages[rank]!;
    found.set(node.output, stage);
    schedule[stage].push(node);
  }
  return schedule;
}

function stageOf(value: Value, found: ReadonlyMap<Value, Stage>): Stage {
  if (value.source.kind === "input") return value.source.stage;
  return found.get(value) ?? "load";
}
