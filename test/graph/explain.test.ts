// What `explain` shows of a plan: a line a dispatch, and a drawing that any viewer can read.
import { expect, it } from "vitest";
import { compileGraph, type Plan, persistentBytes } from "../../src/graph/compile.ts";
import { explain, explainSvg, explainTable } from "../../src/graph/explain.ts";
import { GraphBuilder, stages } from "../../src/graph/graph.ts";
import { add, linear } from "../../src/graph/layers.ts";
import { kindOf, type Tuning } from "../../src/graph/tuning.ts";
import { someTraits } from "./graphs.ts";

/** A text of `rows` rows, prepared once a request, and added at every step; labels that XML must escape. */
function somePlan(rows = 2, tuning?: Tuning): Plan {
  const g = new GraphBuilder();
  const text = g.input("text", [rows, 8], "request");
  const x = g.input("x", [2, 8], "step");
  const layer = { weight: g.weight("w", [16, 8], "linear") };
  const first = g.scope('text <&> "more"', () => linear(g, text, layer));
  g.output(
    "tokens",
    g.scope("pool", () => add(g, first, first)),
  );
  g.output(
    "y",
    g.scope("up.0", () => linear(g, add(g, x, x), layer)),
  );
  return compileGraph(g.finish(), someTraits(), tuning);
}

it("tells of each dispatch where, what, by which kernel and why, how much work, and where the result lies", () => {
  const dispatches = explain(somePlan());
  expect(dispatches.map(({ stage, op, slot }) => [stage, op, slot])).toEqual([
    ["request", "linear", "arena 0 + 0"],
    ["request", "add", "own buffer"],
    ["step", "add", "arena 0 + 0"],
    ["step", "linear", "own buffer"],
  ]);
  expect(dispatches[3]).toMatchObject({
    label: "up.0",
    inputs: ["f32[2,8]", "f32[8,16]", "-", "-"],
    output: "f32[2,16]",
    kernel: "linear.few_rows",
    reason: "fits any adapter",
    flops: 2 * 2 * 8 * 16,
    bytes: 4 * (2 * 8 + 8 * 16 + 2 * 16),
  });
});

it("shows what was measured of a kernel and of those that came after it", () => {
  const { node } = somePlan().schedule.step[1]!;
  const times = { few_rows: 3, simple: 2, tiled: 5.125 };
  const ranking = Object.entries(times).map(([name, milliseconds]) => ({ variant: `linear.${name}`, milliseconds }));
  const tuning = new Map([[kindOf(node), { ranking, wrong: [] }]]);
  const line = explainTable(somePlan(2, tuning)).split("\n")[4];
  expect(line).toMatch(/ linear\.few_rows +measured: 3\.00 ms +simple 2\.00 /);
});

it("prints a line a dispatch under a header, then totals", () => {
  const plan = somePlan();
  const [table, summary] = explainTable(plan)
    .split("\n\n")
    .map((part) => part.split("\n"));
  expect(table).toHaveLength(1 + 4);
  expect(table![0]).toMatch(/^stage +where +op +inputs +output +kernel +why +runners-up +MFLOP +kB +slot$/);
  expect(table![4]).toMatch(/^step +up\.0 +linear .*f32\[2,16\] +linear\.few_rows +fits any adapter/);
  expect(summary).toEqual([
    "request: 2 dispatches, 0.00 GFLOP",
    "step: 2 dispatches, 0.00 GFLOP",
    expect.stringMatching(/^intermediate memory: 256 bytes in 3 arenas; lower bound .*: 256 bytes, 0\.0% above$/),
    `inputs, constants and results kept between stages: ${persistentBytes(plan)} bytes`,
  ]);
  // text, x, tokens, y.
  expect(persistentBytes(plan)).toBe(4 * (16 + 16 + 32 + 32));
});

it("shows one stage alone where asked", () => {
  const plan = somePlan();
  expect(explainTable(plan, ["step"]).split("\n\n")[0]!.split("\n")).toHaveLength(1 + 2);
  expect(explain(plan, ["load"])).toEqual([]);
});

it("leaves out what has no elements, as nothing runs for it", () => {
  expect(explain(somePlan(0)).map(({ stage }) => stage)).toEqual(["step", "step"]);
});

it("draws a box a dispatch and an arrow a tensor between them, as well-formed XML", () => {
  for (const plan of [somePlan(), somePlan(0)])
    for (const only of [stages, ["load"], ["step"]] as const) {
      const svg = explainSvg(plan, only);
      const elements = elementsOf(svg);
      expect(elements.filter((name) => name === "title")).toHaveLength(explain(plan, only).length);
    }
  const svg = explainSvg(somePlan());
  expect(svg).toContain('text &lt;&amp;&gt; "more"');
  // add reads its operand twice; linear reads add.
  expect(elementsOf(svg).filter((name) => name === "path")).toHaveLength(3);
});

/** Names of the elements of an XML text; fails where tags do not match, an attribute is not quoted, or text has a stray < or &. */
function elementsOf(xml: string): string[] {
  const names: string[] = [];
  const open: string[] = [];
  const token = /<(\/?)([a-z]+)((?: [\w:-]+="[^"<&]*")*)(\/?)>|((?:[^<&]|&(?:lt|gt|amp|quot|apos);)+)/gy;
  let end = 0;
  for (let match = token.exec(xml); match; match = token.exec(xml)) {
    end = token.lastIndex;
    const [, closes, name, , empty] = match;
    if (!name) continue;
    if (closes) expect(open.pop()).toBe(name);
    else {
      names.push(name);
      if (!empty) open.push(name);
    }
  }
  expect(xml.slice(end), "what is not XML").toBe("");
  expect(open).toEqual([]);
  return names;
}
