// Weights on their way from a checkpoint to the device: every layout, element type and storage, whole and in pieces.
import { describe, expect, it } from "vitest";
import { GraphBuilder, storedShape, type WeightLayout, weightsOf } from "../../src/graph/graph.ts";
import { add } from "../../src/graph/layers.ts";
import { float32ToFloat16 } from "../../src/io/float16.ts";
import { openSafetensors, type Safetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { testGpu } from "../gpu.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { repack } from "./repack.ts";
import { runGraph } from "./run_diffusers.ts";

const dtypes = ["F32", "F16", "BF16"] as const;

function encode(values: Float32Array, dtype: (typeof dtypes)[number]): Uint8Array {
  if (dtype === "F32") return new Uint8Array(values.slice().buffer);
  if (dtype === "F16") return new Uint8Array(float32ToFloat16(values).buffer);
  return new Uint8Array(Uint16Array.from(new Uint32Array(values.slice().buffer), (bits) => bits >>> 16).buffer);
}

/** Numbers that all three element types hold exactly. */
function coarse(random: Random, count: number): Float32Array {
  return Float32Array.from({ length: count }, () => random.int(-127, 127) / 64);
}

async function checkpointOf(
  tensors: Record<string, Float32Array>,
  shape: readonly number[],
  dtype: (typeof dtypes)[number],
): Promise<Safetensors> {
  const files = Object.entries(tensors).map(([name, values]) => ({ name, dtype, shape, bytes: encode(values, dtype) }));
  return openSafetensors(bytesSource("weights", writeSafetensors(files)));
}

interface Case {
  readonly layout: WeightLayout;
  readonly shape: readonly number[];
  /** Tensors joined into one. */
  readonly parts: number;
}

const cases: Case[] = [
  { layout: "plain", shape: [7], parts: 1 },
  { layout: "plain", shape: [12], parts: 3 },
  { layout: "plain", shape: [5, 8], parts: 1 },
  { layout: "linear", shape: [8, 12], parts: 1 },
  { layout: "linear", shape: [4, 8], parts: 3 },
  { layout: "linear", shape: [6, 8], parts: 2 },
  { layout: "linear", shape: [5, 7], parts: 1 },
  { layout: "conv", shape: [8, 4, 3, 3], parts: 1 },
  { layout: "conv", shape: [6, 3, 3, 3], parts: 1 },
  { layout: "conv", shape: [16, 8, 1, 1], parts: 1 },
  { layout: "conv", shape: [4, 4, 5, 3], parts: 1 },
  // More than a piece, of an odd number of rows of odd length in the last two.
  { layout: "plain", shape: [2100, 2048], parts: 1 },
  { layout: "linear", shape: [1400, 3002], parts: 1 },
  { layout: "conv", shape: [1021, 457, 3, 3], parts: 1 },
];

describe.each(["f32", "f16"] as const)("in %s storage", (storage) => {
  it.each(cases)("$layout $shape x $parts lies in memory as its definition says", async ({ layout, shape, parts }) => {
    const random = new Random(shape.length * 100 + shape[0]!);
    const size = shape.reduce((product, extent) => product * extent, 1);
    const tensors = Object.fromEntries(Array.from({ length: parts }, (_, i) => [`part ${i}`, coarse(random, size)]));
    const whole = [shape[0]! * parts, ...shape.slice(1)];
    const joined = Float32Array.from(Object.values(tensors).flatMap((part) => [...part]));
    const expected = repack(joined, whole, layout);
    const width = storedShape(whole, layout).at(-1)!;
    // The large ones take a while to write.
    for (const dtype of size > 1e6 ? [dtypes[size % 3]!] : dtypes) {
      const checkpoint = await checkpointOf(tensors, shape, dtype);
      const loaded = (g: GraphBuilder) =>
        add(g, g.weight(Object.keys(tensors), shape, layout), g.constant(new Float32Array(width), [width]));
      expect(relativeError(await runGraph(storage, checkpoint, loaded, new Map()), expected), dtype).toBe(0);
    }
  });
});

describe("a number that is none", () => {
  it.each(dtypes)("in %s is named by tensor and place, in whatever piece it is, and nothing stays", async (dtype) => {
    const gpu = await testGpu();
    const { allocatedBytes } = gpu;
    const shape = [1200, 4000];
    const values = new Float32Array(4_800_000);
    values[4_700_003] = dtype === "F16" ? -Infinity : NaN;
    const checkpoint = await checkpointOf({ fine: new Float32Array(4_800_000), "bad one": values }, shape, dtype);
    const g = new GraphBuilder("f16");
    g.output("y", add(g, g.weight("fine", shape, "linear"), g.weight("bad one", shape, "linear")));
    await expect(loadWeights(gpu, checkpoint, weightsOf(g.finish()))).rejects.toMatchObject({
      code: "not-finite",
      message: `weights: tensor bad one has ${values[4_700_003]} at element 4700003`,
    });
    expect(gpu.allocatedBytes).toBe(allocatedBytes);
  });
});
