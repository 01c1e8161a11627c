// Pass: drops nodes whose results nobody reads.
import { type Graph, keptValues } from "./graph.ts";

/** The graph without dead nodes. */
export function prune(graph: Graph): Graph {
  const wanted = keptValues(graph);
  const nodes = graph.nodes.toReversed().filter((node) => {
    if (!wanted.has(node.output)) return false;
    for (const input of node.inputs) if (input) wanted.add(input);
    return true;
  });
  return { ...graph, nodes: nodes.reverse() };
}
