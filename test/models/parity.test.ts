import { beforeAll, describe, expect, it } from "vitest";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor, type Executor } from "../../src/graph/executor.ts";
import { GraphBuilder, weightsOf } from "../../src/graph/graph.ts";
import { openSafetensors, type Safetensors, toFloat32 } from "../../src/io/safetensors.ts";
import { type ModelConfig, readConfig } from "../../src/models/config.ts";
import { reimagen } from "../../src/models/reimagen.ts";
import { neighborTables, stepTables } from "../../src/models/tables.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { fixture, fixtureText } from "../fixture.ts";
import { testGpu } from "../gpu.ts";
import { relativeError } from "../ops/harness.ts";

// The shipped model against its PyTorch definition, in float64 on the same f16 weights.
let config: ModelConfig;
let golden: Safetensors;
let checkpoint: Safetensors;

beforeAll(async () => {
  config = readConfig("config.json", await fixtureText("weights/emoji-64/config.json"));
  golden = await openSafetensors(await fixture("test/fixtures/emoji-64.golden.safetensors"));
  checkpoint = await openSafetensors(await fixture("weights/emoji-64/model.safetensors"));
});

describe.each([
  { storage: "f32", tensors: 2e-4, v: 5e-4 },
  { storage: "f16", tensors: 1e-2, v: 1e-2 },
] as const)("the shipped model in $storage storage", ({ storage, tensors, v }) => {
  it.each([
    { k: 2, name: "v.two_neighbors" },
    { k: 1, name: "v.one_neighbor" },
    { k: 0, name: "v.no_neighbor" },
  ])("agrees with PyTorch on every recorded tensor with $k neighbours", async ({ k, name }) => {
    const executor = await prepare(storage, k);
    executor.run("request");
    executor.run("step");
    const errors: Record<string, number> = {};
    for (const output of executor.plan.graph.outputs.keys()) {
      if (output.startsWith("neighbors") && k < 2) continue;
      const expected = await floats(golden, output === "v" ? name : output);
      const shape = golden.tensors.get(output === "v" ? name : output)!.shape;
      errors[output] = relativeError(
        (await executor.read(output)).subarray(0, expected.length),
        channelsLast(expected, shape),
      );
    }
    executor.dispose();
    for (const [output, error] of Object.entries(errors))
      expect(error, output).toBeLessThan(output === "v" ? v : tensors);
    console.info(
      `${storage}, k = ${k}: relative L2 error`,
      Object.fromEntries(Object.entries(errors).map(([n, e]) => [n, e.toExponential(1)])),
    );
  });
});

async function prepare(storage: "f32" | "f16", k: number): Promise<Executor> {
  const gpu = await testGpu();
  const g = new GraphBuilder(storage);
  const x = g.input("x", [1, config.size, config.size, 3], "step");
  const shape = { pictures: 1, evaluations: 1, texts: 1, neighbors: k } as const;
  g.output(
    "v",
    reimagen(g, config, shape, x, (name, value) => g.output(name, value)),
  );
  const graph = g.finish();
  const plan = compileGraph(graph, gpu.traits);
  const weights = await loadWeights(gpu, checkpoint, weightsOf(graph));
  const executor = await createExecutor(gpu, plan, weights);

  const prompt = new Uint32Array((await golden.read("in.ids")).slice().buffer);
  const captions = new Uint32Array((await golden.read("in.neighbor_ids")).slice().buffer);
  const ids = new Uint32Array((1 + k) * config.text_len);
  ids.set(prompt);
  for (let n = 0; n < k; n++) ids.set(captions.subarray(n * 14, (n + 1) * 14), (1 + n) * config.text_len);
  const lengths = Uint32Array.from({ length: 1 + k }, (_, row) =>
    ids.subarray(row * config.text_len, (row + 1) * config.text_len).findIndex((id) => id === 0),
  );
  executor.write("text.ids", ids);
  executor.write("text.lengths", lengths);
  executor.write("text.table", Uint32Array.from([...lengths].flatMap((length, row) => [row, length])));
  const text = (row: number) => ({ row, length: lengths[row]! });
  if (k > 0) {
    const pictures = channelsLast(await floats(golden, "in.neighbors"), [2, 3, config.size, config.size]);
    executor.write("neighbor.images", pictures.slice(0, k * config.size ** 2 * 3));
    const captions = Array.from({ length: k }, (_, n) => text(1 + n));
    for (const [input, table] of neighborTables(config, captions)) executor.write(input, table);
  }
  executor.write("x", channelsLast(await floats(golden, "in.x"), [1, 3, config.size, config.size]));
  executor.write("t", await floats(golden, "in.t"));
  const shown = { text: text(0), neighbors: { first: 0, count: k } };
  for (const [input, table] of stepTables(config, [shown])) executor.write(input, table);
  return executor;
}

async function floats(file: Safetensors, name: string): Promise<Float32Array<ArrayBuffer>> {
  return toFloat32(await file.read(name), file.tensors.get(name)!.dtype) as Float32Array<ArrayBuffer>;
}

/** [B, C, H, W] -> [B, H, W, C]; other ranks as they are. */
function channelsLast(data: Float32Array<ArrayBuffer>, shape: readonly number[]): Float32Array<ArrayBuffer> {
  if (shape.length !== 4) return data;
  const [batch, channels, height, width] = shape as [number, number, number, number];
  const out = new Float32Array(data.length);
  for (let b = 0; b < batch; b++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < height * width; p++)
        out[(b * height * width + p) * channels + c] = data[(b * channels + c) * height * width + p]!;
  return out;
}
