// Fusion makes fewer nodes that compute the same, and leaves alone what others still read.
import { describe, expect, it } from "vitest";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor } from "../../src/graph/executor.ts";
import { fuse } from "../../src/graph/fuse.ts";
import { GraphBuilder, type Value } from "../../src/graph/graph.ts";
import { add, concat, conv2d, linear, upsample2x } from "../../src/graph/layers.ts";
import { testGpu } from "../gpu.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { fusibleGraph, interpret, opsOf, randomConstant, someTraits } from "./graphs.ts";

const inputs = () => {
  const random = new Random(5);
  return { x: Float64Array.from({ length: 128 }, () => Math.fround(random.normal())) };
};

describe("a graph with an enlargement, a concatenation and a residual", () => {
  it("loses all three, and computes the same", () => {
    const graph = fusibleGraph();
    const fused = fuse(graph);
    expect(opsOf(graph)).toEqual(expect.arrayContaining(["resize", "concat", "add"]));
    // The enlarged picture is still read by the concatenation's readers, which cannot enlarge.
    expect(opsOf(fused)).toEqual(["resize", "conv2d", "group_norm_affine", "normalize", "conv2d", "conv2d"]);
    const [plain, after] = [graph, fused].map((g) => interpret(g, inputs()).get("y")!);
    expect(relativeError(after!, plain!)).toBeLessThan(1e-12);
  });

  it("gives on the GPU, fused, what it is unfused by definition", async () => {
    const gpu = await testGpu();
    const graph = fusibleGraph();
    const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), new Map());
    executor.write("x", Float32Array.from(inputs().x));
    executor.run("step");
    const got = await executor.read("y");
    executor.dispose();
    expect(relativeError(got, interpret(graph, inputs()).get("y")!)).toBeLessThan(1e-6);
  });
});

/** The ops that are left of `build(g, x)`, x [1, 4, 4, 8] of the step. */
function fusedOps(build: (g: GraphBuilder, x: Value) => Value, storage: "f32" | "f16" = "f32"): string[] {
  const g = new GraphBuilder(storage);
  g.output("y", build(g, g.input("x", [1, 4, 4, 8], "step")));
  const fused = fuse(g.finish());
  expect(() => compileGraph(g.finish(), someTraits())).not.toThrow();
  return opsOf(fused);
}

const conv = (g: GraphBuilder, x: Value, name: string, outputs = 8) =>
  conv2d(g, x, { weight: g.weight(name, [outputs, x.type.shape[3]!, 3, 3], "conv") }, { padding: 1 });

describe("a residual", () => {
  it("goes into its producer from either side of the sum", () => {
    expect(fusedOps((g, x) => add(g, conv(g, x, "w"), x))).toEqual(["conv2d"]);
    expect(fusedOps((g, x) => add(g, x, conv(g, x, "w")))).toEqual(["conv2d"]);
  });

  it("takes its factor into a convolution, once, and not into a linear layer", () => {
    const dense = (g: GraphBuilder, x: Value) => linear(g, x, { weight: g.weight("d", [8, 8], "linear") });
    expect(fusedOps((g, x) => add(g, conv(g, x, "w"), x, "none", 0.7))).toEqual(["conv2d"]);
    expect(fusedOps((g, x) => add(g, add(g, conv(g, x, "w"), x, "none", 0.7), x))).toEqual(["conv2d", "add"]);
    expect(fusedOps((g, x) => add(g, dense(g, x), x, "none", 0.7))).toEqual(["linear", "add"]);
    expect(fusedOps((g, x) => add(g, dense(g, x), x))).toEqual(["linear"]);
  });

  it("stays a sum when the producer's own result is read elsewhere, or can be read back", () => {
    expect(
      fusedOps((g, x) => {
        const h = conv(g, x, "w");
        return conv(g, concat(g, add(g, h, x), h), "v");
      }),
    ).toEqual(["conv2d", "add", "conv2d"]);
    expect(
      fusedOps((g, x) => {
        const h = conv(g, x, "w");
        g.output("h", h);
        return add(g, h, x);
      }),
    ).toEqual(["conv2d", "add"]);
  });

  it("that is repeated along an axis, as positions are, goes into a linear layer", () => {
    const dense = (g: GraphBuilder, x: Value) => linear(g, x, { weight: g.weight("d", [8, 8], "linear") });
    expect(fusedOps((g, x) => add(g, dense(g, x), g.weight("positions", [16, 8], "plain", [4, 4, 8])))).toEqual([
      "linear",
    ]);
  });

  it("stays a sum when it is repeated along an axis of a convolution, or an activation follows", () => {
    expect(fusedOps((g, x) => add(g, conv(g, x, "w"), g.weight("bias", [8])))).toEqual(["conv2d", "add"]);
    expect(fusedOps((g, x) => add(g, conv(g, x, "w"), x, "silu"))).toEqual(["conv2d", "add"]);
  });

  it("is computed before the producer it went into, even where it was built after", () => {
    const random = new Random(9);
    const g = new GraphBuilder();
    const x = g.input("x", [1, 4, 4, 8], "step");
    const weight = () => ({ weight: randomConstant(g, random, [1, 1, 8, 8]) });
    const early = conv2d(g, x, weight());
    g.output("y", add(g, early, conv2d(g, conv2d(g, x, weight()), weight())));
    const graph = g.finish();
    expect(opsOf(fuse(graph))).toEqual(["conv2d", "conv2d", "conv2d"]);
    expect(interpret(fuse(graph), inputs()).get("y")).toEqual(interpret(graph, inputs()).get("y"));
  });

  it("does not draw work of the request into the step", () => {
    const g = new GraphBuilder();
    const text = g.input("text", [2, 8], "request");
    const encoded = linear(g, text, { weight: g.weight("w", [8, 8], "linear") });
    g.output("y", add(g, encoded, g.input("x", [2, 8], "step")));
    const { schedule } = compileGraph(g.finish(), someTraits());
    expect(schedule.request.map(({ node }) => node.op.name)).toEqual(["linear"]);
    expect(schedule.step.map(({ node }) => node.op.name)).toEqual(["add"]);
  });
});

describe("an enlargement", () => {
  it("goes into each convolution that reads it", () => {
    expect(
      fusedOps((g, x) => {
        const large = upsample2x(g, x);
        return add(g, conv(g, large, "a"), conv(g, large, "b"));
      }),
    ).toEqual(["conv2d", "conv2d"]);
  });

  it("stays where something else reads it", () => {
    expect(fusedOps((g, x) => add(g, upsample2x(g, x), g.weight("bias", [8])))).toEqual(["resize", "add"]);
  });
});

describe("a concatenation", () => {
  it("of odd channels stays in f16 storage, whose kernels take channels in fours, and goes in f32", () => {
    const build = (g: GraphBuilder, x: Value) => {
      const [a, b] = ["a", "b"].map((name) => conv(g, x, name, 6));
      return conv(g, concat(g, a!, b!), "w");
    };
    expect(fusedOps(build)).toEqual(["conv2d", "conv2d", "conv2d"]);
    expect(fusedOps(build, "f16")).toEqual(["conv2d", "conv2d", "concat", "conv2d"]);
  });
});
