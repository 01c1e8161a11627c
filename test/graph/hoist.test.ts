// Hoisting: what depends on the request alone runs once a request, what depends on weights alone once a load.
import { beforeAll, describe, expect, it } from "vitest";
import { denoisingLoop } from "../../src/diffusion/loop.ts";
import { type ReimagenShape, reimagenModel } from "../../src/diffusion/reimagen.ts";
import { compileGraph, type Plan } from "../../src/graph/compile.ts";
import { GraphBuilder, type Node, type Value } from "../../src/graph/graph.ts";
import { hoist } from "../../src/graph/hoist.ts";
import { add, linear } from "../../src/graph/layers.ts";
import { readConfig } from "../../src/models/config.ts";
import { fixtureText } from "../fixture.ts";
import { someTraits } from "./graphs.ts";

it("sorts nodes by the most frequent of their inputs", () => {
  const g = new GraphBuilder();
  const weight = g.weight("w", [4, 4], "linear");
  const table = g.weight("table", [2, 4]);
  const text = g.input("text", [2, 4], "request");
  const x = g.input("x", [2, 4], "step");
  const prepared = g.scope("load", () => linear(g, table, { weight }));
  const encoded = g.scope("request", () => add(g, linear(g, text, { weight }), prepared));
  g.output(
    "y",
    g.scope("step", () => add(g, linear(g, x, { weight }), encoded)),
  );
  const schedule = hoist(g.finish());
  for (const stage of ["load", "request", "step"] as const)
    expect(schedule[stage].map(({ label }) => label)).toEqual(schedule[stage].map(() => stage));
  expect([schedule.load.length, schedule.request.length, schedule.step.length]).toEqual([1, 2, 2]);
});

describe("the denoising loop of the shipped model", () => {
  let plan: Plan;
  beforeAll(async () => {
    const config = readConfig("config.json", await fixtureText("weights/emoji-64/config.json"));
    const shape: ReimagenShape = {
      ...{ storage: "f32", pictures: 1, evaluations: 2, texts: 2, neighbors: 2 },
      ...{ thresholding: { kind: "static", range: 1 }, stochastic: false, multistep: false },
    } as const;
    plan = compileGraph(denoisingLoop(reimagenModel(config, shape), shape), someTraits());
  });
  const labels = (stage: "load" | "request" | "step") => new Set(plan.schedule[stage].map(({ node }) => node.label));
  const reads = (node: Node, weight: RegExp) =>
    node.inputs.some(
      (value) => value?.source.kind === "weight" && value.source.weight.names.some((n) => weight.test(n)),
    );

  it("encodes texts and neighbours once a request, not once a step", () => {
    for (const label of labels("step")) expect(label).not.toMatch(/^(text|pool|neighbor)/);
    expect([...labels("request")]).toEqual(expect.arrayContaining(["text.layers.3", "pool", "neighbors/stem"]));
    expect([...labels("request")]).toEqual(expect.arrayContaining(["neighbor.0", "neighbor.1", "neighbors/down.1.1"]));
  });

  it("computes the keys and values of text and neighbours once a request, for every attention", () => {
    const projections = (stage: "request" | "step") =>
      plan.schedule[stage].filter(({ node }) => reads(node, /kv_context\.weight$/));
    expect(projections("step")).toEqual([]);
    // Text: 2 attentions down (also for the neighbours), 1 middle, 4 up. Neighbours: 1 middle, 4 up.
    expect(projections("request").length).toBeGreaterThanOrEqual(12);
    expect(plan.schedule.step.filter(({ node }) => reads(node, /qkv\.weight$/))).toHaveLength(7);
  });

  it("needs neither request nor step for the neighbours' time, which is always 0, and for T5's relative bias", () => {
    const ops = plan.schedule.load.map(({ node }) => node.op.name);
    expect(ops).toContain("timestep_features");
    expect(ops).toContain("embedding");
  });

  it("leaves in the step only what follows from the step's own inputs", () => {
    const own = new Set<Value>();
    const isOwn = (value: Value | null) =>
      value !== null && (own.has(value) || (value.source.kind === "input" && value.source.stage === "step"));
    for (const { node } of plan.schedule.step) {
      expect(node.inputs.some(isOwn), `${node.label} ${node.op.name}`).toBe(true);
      own.add(node.output);
    }
    for (const { node } of [...plan.schedule.load, ...plan.schedule.request])
      expect(node.inputs.some(isOwn), `${node.label} ${node.op.name}`).toBe(false);
  });
});
