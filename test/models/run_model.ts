// The model as one step on recorded inputs, for tests that hold it against PyTorch.
import { type AlphaSigma, alphaSigma, cosineSchedule } from "../../src/diffusion/schedule.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor, type Executor } from "../../src/graph/executor.ts";
import { GraphBuilder, type Value, weightsOf } from "../../src/graph/graph.ts";
import { type Safetensors, toFloat32 } from "../../src/io/safetensors.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { reimagen } from "../../src/models/reimagen.ts";
import { residualCoefficients } from "../../src/models/residual.ts";
import { neighborTables, stepTables } from "../../src/models/tables.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { testGpu } from "../gpu.ts";

/** What to run: `recorded` holds `in.x`, `in.t`, `in.ids`, `in.neighbors`, `in.neighbor_ids` and for super-resolution `in.low` and `in.level`, as PyTorch has them. */
export interface Example {
  readonly config: ModelConfig;
  readonly checkpoint: Safetensors;
  readonly recorded: Safetensors;
  readonly storage: "f32" | "f16";
  /** Of matrices and convolution kernels; `storage` when absent. */
  readonly weights?: "q8";
  /** How many of the recorded neighbours to encode. */
  readonly neighbors: number;
  /** Runs another recorded picture, `in.x.<picture>` with its `in.low.<picture>`. */
  readonly picture?: string;
  /** How many of them each evaluation sees: one evaluation, or two as guidance makes them. */
  readonly shown: readonly [number] | readonly [number, number];
}

/** Runs the request and one step; `v` and whatever `probe` names can then be read. */
export async function runModel(example: Example, probe?: (name: string, value: Value) => boolean): Promise<Executor> {
  const { config, checkpoint, recorded, storage, neighbors, weights: kind = storage } = example;
  const gpu = await testGpu();
  const g = new GraphBuilder(storage, kind);
  const [inX, inLow] = ["in.x", "in.low"].map((name) => (example.picture ? `${name}.${example.picture}` : name));
  const extent = recorded.tensors.get(inX!)!.shape.slice(2) as [number, number];
  const x = g.input("x", [1, ...extent, 3], "step");
  const low = config.cond_channels ? g.input("low", x.type.shape, "request") : undefined;
  const evaluations = example.shown.length;
  const shape = { pictures: 1, evaluations, texts: 1, neighbors } as const;
  const named = (name: string, value: Value) => {
    if (probe?.(name, value)) g.output(name, value);
  };
  const v = reimagen(g, config, shape, x, named, low);
  g.output("v", v);
  const graph = g.finish();
  const weights = await loadWeights(gpu, checkpoint, weightsOf(graph));
  const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), weights);

  const lengths = await writeTexts(executor, example);
  const text = (row: number) => ({ row, length: lengths[row]! });
  if (neighbors > 0) {
    const pictures = await channelsLast(recorded, "in.neighbors");
    executor.write("neighbor.images", pictures.slice(0, neighbors * config.size ** 2 * 3));
    const captions = Array.from({ length: neighbors }, (_, n) => text(1 + n));
    for (const [input, table] of neighborTables(config, captions)) executor.write(input, table);
  }
  executor.write("x", await channelsLast(recorded, inX!));
  if (low) {
    executor.write("low", await channelsLast(recorded, inLow!));
    executor.write("level", await floats(recorded, "in.level"));
  }
  executor.write("t", await floats(recorded, "in.t"));
  if (config.residual_std) {
    const [at, level] = [(await floats(recorded, "in.t"))[0]!, (await floats(recorded, "in.level"))[0]!];
    const scales = [at, level].map((time) => alphaSigma(cosineSchedule, time)) as [AlphaSigma, AlphaSigma];
    executor.write("residual", residualCoefficients(config.residual_std, ...scales));
  }
  const shown = example.shown.map((count) => ({ text: text(0), neighbors: { first: 0, count } }));
  for (const [input, table] of stepTables(config, shown, extent)) executor.write(input, table);

  executor.run("request");
  executor.run("step");
  return executor;
}

/** Writes the prompt and the captions; their lengths. */
async function writeTexts(executor: Executor, { config, recorded, neighbors }: Example): Promise<Uint32Array> {
  const ids = new Uint32Array((1 + neighbors) * config.text_len);
  ids.set(await integers(recorded, "in.ids"));
  const captions = await integers(recorded, "in.neighbor_ids");
  const stride = recorded.tensors.get("in.neighbor_ids")!.shape.at(-1)!;
  for (let n = 0; n < neighbors; n++)
    ids.set(captions.subarray(n * stride, (n + 1) * stride), (1 + n) * config.text_len);
  const lengths = Uint32Array.from({ length: 1 + neighbors }, (_, row) => {
    const end = ids.subarray(row * config.text_len, (row + 1) * config.text_len).indexOf(0);
    return end < 0 ? config.text_len : end;
  });
  executor.write("text.ids", ids);
  executor.write("text.lengths", lengths);
  executor.write("text.table", Uint32Array.from([...lengths].flatMap((length, row) => [row, length])));
  return lengths;
}

/** A recorded tensor; pictures and feature maps [..., C, H, W] become [..., H, W, C]. */
export async function channelsLast(file: Safetensors, name: string): Promise<Float32Array<ArrayBuffer>> {
  const data = await floats(file, name);
  const { shape } = file.tensors.get(name)!;
  if (shape.length < 4) return data;
  const [channels, height, width] = shape.slice(-3) as [number, number, number];
  const pixels = height * width;
  const out = new Float32Array(data.length);
  for (let picture = 0; picture < data.length / (channels * pixels); picture++)
    for (let c = 0; c < channels; c++)
      for (let p = 0; p < pixels; p++)
        out[(picture * pixels + p) * channels + c] = data[(picture * channels + c) * pixels + p]!;
  return out;
}

async function floats(file: Safetensors, name: string): Promise<Float32Array<ArrayBuffer>> {
  return toFloat32(await file.read(name), file.tensors.get(name)!.dtype) as Float32Array<ArrayBuffer>;
}

async function integers(file: Safetensors, name: string): Promise<Uint32Array> {
  return new Uint32Array((await file.read(name)).slice().buffer);
}
