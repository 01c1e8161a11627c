// Pruning drops what nobody reads, and nothing else.
import { expect, it } from "vitest";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { add, linear } from "../../src/graph/layers.ts";
import { prune } from "../../src/graph/prune.ts";

it("drops a branch that no output and no state reads, however long", () => {
  const g = new GraphBuilder();
  const x = g.input("x", [1, 4], "step");
  const used = g.scope("used", () => add(g, x, x));
  g.scope("dead", () => add(g, add(g, used, x), used));
  g.output(
    "y",
    g.scope("end", () => add(g, used, x)),
  );
  expect(prune(g.finish()).nodes.map(({ label }) => label)).toEqual(["used", "end"]);
});

it("keeps what the next step needs, though it is no output", () => {
  const g = new GraphBuilder();
  const x = g.input("x", [1, 4], "step");
  g.state(x, add(g, x, x));
  expect(prune(g.finish()).nodes).toHaveLength(1);
});

it("keeps the operands of a node with optional operands missing", () => {
  const g = new GraphBuilder();
  const h = linear(g, g.input("x", [2, 4], "step"), { weight: g.weight("a", [8, 4], "linear") });
  g.output("y", linear(g, h, { weight: g.weight("b", [4, 8], "linear") }));
  const graph = g.finish();
  expect(prune(graph).nodes).toEqual(graph.nodes);
  expect(prune({ ...graph, outputs: new Map() }).nodes).toEqual([]);
});
