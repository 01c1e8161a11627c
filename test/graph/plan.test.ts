// The memory plan: tensors that live at once never overlap, no dispatch reads and writes one buffer, and little is wasted.
import { describe, expect, it } from "vitest";
import { denoisingLoop } from "../../src/diffusion/loop.ts";
import { type ReimagenShape, reimagenModel } from "../../src/diffusion/reimagen.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { type Graph, GraphBuilder, type Node, stages, type Value } from "../../src/graph/graph.ts";
import { hoist } from "../../src/graph/hoist.ts";
import { add, linear } from "../../src/graph/layers.ts";
import { type MemoryPlan, planMemory } from "../../src/graph/plan.ts";
import { readConfig } from "../../src/models/config.ts";
import { fixtureText } from "../fixture.ts";
import { Random } from "../ops/harness.ts";
import { someTraits } from "./graphs.ts";

const total = ({ arenas }: MemoryPlan) => arenas.reduce((sum, bytes) => sum + bytes, 0);

/** Asserts that `nodes` can run in this memory, one after the other. */
function expectSound(nodes: readonly Node[], { places, arenas }: MemoryPlan): void {
  const last = new Map<Value, number>();
  nodes.forEach(({ inputs, output }, at) => {
    for (const value of [...inputs, output]) if (value) last.set(value, at);
  });
  const live = new Set<Value>();
  nodes.forEach(({ inputs, output }, at) => {
    const place = places.get(output);
    if (place) {
      expect(place.offset + place.bytes).toBeLessThanOrEqual(arenas[place.arena]!);
      for (const value of inputs) if (value) expect(places.get(value)?.arena).not.toBe(place.arena);
      for (const other of live) {
        const { arena, offset, bytes } = places.get(other)!;
        const apart = offset >= place.offset + place.bytes || place.offset >= offset + bytes;
        expect(arena !== place.arena || apart, `values ${other.id} and ${output.id}`).toBe(true);
      }
      live.add(output);
    }
    for (const value of live) if (last.get(value) === at) live.delete(value);
  });
}

it("knows the lower bound of a graph made by hand", () => {
  const g = new GraphBuilder();
  const widen = { weight: g.weight("widen", [256, 64], "linear") };
  const narrow = { weight: g.weight("narrow", [64, 256], "linear") };
  const x = g.input("x", [1, 64], "step");
  const a = add(g, x, x); // 256 bytes, until the last node but one
  const wide = linear(g, a, widen); // 1024 bytes: a + wide = 1280 alive
  const twice = add(g, wide, wide); // 1024 bytes: a + wide + twice = 2304 alive
  const b = linear(g, twice, narrow); // 256 bytes: a + twice + b = 1536 alive
  const y = add(g, a, b);
  g.output("y", y);
  const { nodes } = g.finish();
  const plan = planMemory([nodes], new Set([y]), 256);
  expect(plan.lowerBound).toBe(2304);
  expect(total(plan)).toBe(2304);
  expect(plan.places.has(y)).toBe(false);
  expectSound(nodes, plan);
});

it("rounds every tensor up to the offsets that the device allows", () => {
  const g = new GraphBuilder();
  const x = g.input("x", [3], "step");
  const y = add(g, add(g, x, x), x);
  g.output("y", y);
  const { nodes } = g.finish();
  expect(planMemory([nodes], new Set([y]), 256).lowerBound).toBe(256);
  expect(planMemory([nodes], new Set([y]), 32).lowerBound).toBe(32);
});

it("lets stages share their memory, as they never overlap", () => {
  const chain = (length: number) => {
    const g = new GraphBuilder();
    let x = g.input("x", [length], "step");
    for (let i = 0; i < 5; i++) x = add(g, x, x);
    return g.finish().nodes;
  };
  const [small, large] = [chain(64), chain(640)];
  const plan = planMemory([small, large], new Set(), 256);
  expect(plan.lowerBound).toBe(2 * 2560);
  expect(total(plan)).toBe(2 * 2560);
  expectSound(small, plan);
  expectSound(large, plan);
});

it("is sound on graphs of any form", () => {
  const random = new Random(17);
  for (let graph = 0; graph < 40; graph++) {
    const g = new GraphBuilder();
    const widths = [4, 16, 64, 256];
    const values = [g.input("x", [3, 64], "step")];
    for (let node = 0; node < 30; node++) {
      const x = random.pick(values.slice(-8));
      const alike = values.filter(({ type }) => type.shape.join() === x.type.shape.join());
      const width = random.pick(widths);
      const weight = g.weight(`w${node}`, [width, x.type.shape[1]!], "linear");
      values.push(random.next() < 0.5 ? add(g, x, random.pick(alike)) : linear(g, x, { weight }));
    }
    const { nodes } = g.finish();
    const plan = planMemory([nodes], new Set([values.at(-1)!]), 64);
    expect(total(plan)).toBeGreaterThanOrEqual(plan.lowerBound);
    expectSound(nodes, plan);
  }
});

describe("the shipped model with guidance", () => {
  it.each([0, 1, 2])(
    "needs at most a tenth more than the lower bound with %i neighbours, and runs in it",
    async (k) => {
      const config = readConfig("config.json", await fixtureText("weights/emoji-64/config.json"));
      const shape: ReimagenShape = {
        ...{ storage: "f32", pictures: 1, evaluations: 2, texts: 2, neighbors: k },
        ...{ thresholding: { kind: "static", range: 1 }, stochastic: false, multistep: false },
      } as const;
      const { graph, memory } = compileGraph(denoisingLoop(reimagenModel(config, shape), shape), someTraits());
      expect(total(memory)).toBeLessThanOrEqual(1.1 * memory.lowerBound);
      expect(memory.lowerBound).toBe(
        Math.max(...Object.values(hoist(graph)).map((nodes) => largestLiveSet(graph, nodes))),
      );
      for (const stage of stages) expectSound(hoist(graph)[stage], memory);
    },
  );
});

/** Counted plainly, node by node: bytes of what is made in this stage, is read later in it, and does not outlive it. */
function largestLiveSet(graph: Graph, nodes: readonly Node[]): number {
  const here = new Set(nodes);
  const elsewhere = graph.nodes.filter((node) => !here.has(node)).flatMap(({ inputs }) => inputs);
  const kept = new Set([...elsewhere, ...graph.outputs.values(), ...graph.states.map(({ next }) => next)]);
  const bytes = ({ shape, dtype }: Value["type"]) =>
    Math.ceil((shape.reduce((a, b) => a * b, dtype === "f16" ? 2 : 4) || 0) / 256) * 256;
  const sums = nodes.map((_, at) => {
    const readLater = new Set(nodes.slice(at).flatMap(({ inputs }) => inputs));
    const alive = nodes
      .slice(0, at + 1)
      .filter(({ output }, i) => (readLater.has(output) || i === at) && !kept.has(output));
    return alive.reduce((sum, { output }) => sum + bytes(output.type), 0);
  });
  return Math.max(0, ...sums);
}
