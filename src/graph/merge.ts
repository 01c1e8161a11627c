// Pass: what is written several times is computed once, such as keys and values of neighbours, which both ways of a step read.
import type { Graph, Node, Value } from "./graph.ts";

/** The graph without nodes that do with the same operands what an earlier node does. */
export function merge(graph: Graph): Graph {
  const places = new Map<string, number>();
  const merged = new Map<Value, Value>();
  const now = (value: Value) => merged.get(value) ?? value;
  const nodes: Node[] = [];
  for (const each of graph.nodes) {
    const node = { ...each, inputs: each.inputs.map((value) => value && now(value)) };
    const key = [node.op.name, JSON.stringify(node.attributes), ...node.inputs.map((value) => value?.id)].join();
    const at = places.get(key);
    if (at === undefined) {
      places.set(key, nodes.length);
      nodes.push(node);
      continue;
    }
    merged.set(node.output, nodes[at]!.output);
    if (nodes[at]!.only !== node.only) nodes[at] = inEveryStep(nodes[at]!);
  }
  return {
    nodes,
    outputs: new Map([...graph.outputs].map(([name, value]) => [name, now(value)])),
    states: graph.states.map(({ input, next }) => ({ input, next: now(next) })),
    instead: new Map([...graph.instead].map(([value, other]) => [now(value), now(other)])),
  };
}

function inEveryStep({ only: _, ...node }: Node): Node {
  return node;
}
