// Weights in 8 bits: what the loader makes of a checkpoint's, and what that does to layers and to whole models.
import { describe, expect, it } from "vitest";
import { compileGraph } from "../../src/graph/compile.ts";
import { GraphBuilder, storedShape, type Value, type WeightLayout, weightsOf } from "../../src/graph/graph.ts";
import { conv2d, linear } from "../../src/graph/layers.ts";
import { bytesOfType } from "../../src/graph/plan.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { readConfig } from "../../src/models/config.ts";
import { fixture, fixtureText } from "../fixture.ts";
import { testGpu } from "../gpu.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { q8Values, quantize } from "../ops/q8.ts";
import { asCheckpoint, type Tensor } from "./random_checkpoint.ts";
import { repack } from "./repack.ts";
import { runEncoder } from "./run_encoder.ts";
import { channelsLast, runModel } from "./run_model.ts";

/** Values whose size differs from row to row and column to column. */
function uneven(random: Random, shape: readonly number[]): Tensor {
  const size = shape.reduce((product, extent) => product * extent, 1);
  const width = size / shape[0]!;
  const data = Float64Array.from({ length: size }, (_, i) =>
    Math.fround(random.normal() * (1 + (Math.floor(i / width) % 5)) * 2 ** -(Math.floor((i % width) / 7) % 4)),
  );
  return { shape, data };
}

/** A graph whose output is the weight itself, row by row, as the layer's kernel reads it. */
function reading(names: readonly string[], shape: readonly number[], layout: WeightLayout, most: number) {
  const g = new GraphBuilder("f32", "q8");
  const weight = g.weight(names, shape, layout);
  const rows = weight.type.shape.slice(0, -1).reduce((product, extent) => product * extent, 1);
  const unit = new Float32Array(rows * rows);
  for (let row = 0; row < rows; row++) unit[row * rows + row] = 1;
  const [kh, kw, channels] = weight.type.shape as [number, number, number];
  const x = (units: Value) => (layout === "conv" ? conv2d(g, units, { weight }) : linear(g, units, { weight }));
  const inputs = g.input("x", layout === "conv" ? [rows, kh, kw, channels] : [rows, rows], "request");
  g.output("y", x(inputs));
  expect(weight.type.dtype).toBe("q8");
  expect(bytesOfType(weight.type)).toBeLessThan(most * rows * weight.type.shape.at(-1)!);
  return { graph: g.finish(), unit };
}

describe("the loader keeps every value within half a step of its block's 8 bits", () => {
  it.each<{ layout: WeightLayout; shape: number[]; parts: number }>([
    { layout: "linear", shape: [8, 64], parts: 1 },
    { layout: "linear", shape: [12, 100], parts: 3 },
    { layout: "linear", shape: [4, 4], parts: 1 },
    { layout: "conv", shape: [8, 32, 1, 1], parts: 1 },
    { layout: "conv", shape: [12, 20, 3, 3], parts: 1 },
  ])("$layout $shape x $parts", async ({ layout, shape, parts }) => {
    const random = new Random(shape[1]!);
    const names = Array.from({ length: parts }, (_, i) => `part ${i}`);
    const tensors = new Map(names.map((name) => [name, uneven(random, shape)]));
    // A block that is all zeros, and one far out of the others' range.
    tensors.get(names[0]!)!.data.fill(0, 0, 4).fill(3e4, 5, 6);
    const { graph, unit } = reading(names, shape, layout, 4);
    const got = (await runEncoder(graph, await asCheckpoint(tensors), { x: unit })).get("y")!;
    const joined = Float32Array.from([...tensors.values()].flatMap(({ data }) => [...data]));
    const whole = [shape[0]! * parts, ...shape.slice(1)];
    const exact = repack(joined, whole, layout);
    const columns = storedShape(whole, layout).at(-1)!;
    const quantized = quantize(exact, columns);
    const mine = q8Values(quantized);
    for (let i = 0; i < exact.length; i++) {
      const scale = quantized.scales[Math.floor(i / columns / 32) * columns + (i % columns)]!;
      expect(Math.abs(got[i]! - exact[i]!)).toBeLessThanOrEqual(scale * (0.5001 / 127 + 2 ** -11));
    }
    // Where a value lies in the middle between two codes either is right.
    expect(relativeError(got, mine)).toBeLessThan(2e-3);
  });

  it("needs little more than a byte a weight", () => {
    const { graph } = reading(["w"], [256, 256], "linear", 1.07);
    expect(weightsOf(graph)).toHaveLength(1);
  });
});

it.each(["f32", "f16"] as const)("the shipped model in 8 bits and %s predicts nearly the same", async (storage) => {
  const config = readConfig("config.json", await fixtureText("weights/emoji-64/config.json"));
  const recorded = await openSafetensors(await fixture("test/fixtures/emoji-64.golden.safetensors"));
  const checkpoint = await openSafetensors(await fixture("weights/emoji-64/model.safetensors"));
  const example = { config, checkpoint, recorded, storage, weights: "q8", neighbors: 2, shown: [2] } as const;
  const executor = await runModel(example, () => true);
  const errors: Record<string, string> = {};
  for (const output of executor.plan.graph.outputs.keys()) {
    const expected = await channelsLast(recorded, output === "v" ? "v.two_neighbors" : output);
    const error = relativeError((await executor.read(output)).subarray(0, expected.length), expected);
    errors[output] = error.toExponential(1);
    expect(error, output).toBeLessThan(3e-2);
  }
  executor.dispose();
  console.info(`q8 and ${storage}: relative L2 error`, errors);
});

it("a layer in 8 bits errs by about half a percent", async () => {
  const random = new Random(3);
  const tensor = { shape: [256, 512], data: Float64Array.from({ length: 256 * 512 }, () => random.normal()) };
  const build = (weights: "f32" | "q8") => {
    const g = new GraphBuilder("f32", weights);
    g.output("y", linear(g, g.input("x", [16, 512], "request"), { weight: g.weight("w", tensor.shape, "linear") }));
    return g.finish();
  };
  const x = Float32Array.from({ length: 16 * 512 }, () => random.normal());
  const checkpoint = await asCheckpoint(new Map([["w", tensor]]));
  const [exact, near] = [
    (await runEncoder(build("f32"), checkpoint, { x })).get("y")!,
    (await runEncoder(build("q8"), checkpoint, { x })).get("y")!,
  ];
  const error = relativeError(near, exact);
  console.info(`q8: relative L2 error of a linear layer ${error.toExponential(1)}`);
  expect(error).toBeGreaterThan(1e-3);
  expect(error).toBeLessThan(8e-3);
  const gpu = await testGpu();
  expect(compileGraph(build("q8"), gpu.traits).schedule.request[0]!.choice.variant).toMatch(/^linear\./);
});
