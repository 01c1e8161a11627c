// Our side of `step.ts`, in a process of its own: the base U-Net's step at batch 2, and what the peer must be fed to compute the same.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor, type Executor } from "../../src/graph/executor.ts";
import { GraphBuilder, weightsOf } from "../../src/graph/graph.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { type ModelConfig, readConfig } from "../../src/models/config.ts";
import { reimagen } from "../../src/models/reimagen.ts";
import { neighborTables, stepTables } from "../../src/models/tables.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { openFileSource } from "../../src/node/file-source.ts";
import { shippedModel } from "../../src/node/shipped.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import type { BenchAdapter } from "../command.ts";
import { openHost } from "../host.ts";
import type { Machine } from "../lab/report.ts";
import { serve } from "../worker.ts";
import { batch, neighborsEach, type StepRequest, stepRequest, textTokens, time } from "./step.request.ts";

/** Inputs of the exported step, as ONNX lays them out, and our result. */
export interface StepExample {
  readonly machine: Machine;
  readonly inputs: Readonly<Record<string, { readonly data: Float32Array; readonly shape: readonly number[] }>>;
  /** [batch, 3, S, S]. */
  readonly v: Float32Array;
  /** Of the request stage, once its pipelines are warm. */
  readonly requestMs: number;
}

const { gpu, machine } = await openHost(process.argv[2] as BenchAdapter, () => undefined);
let executor: Executor;
let request: StepRequest;

/** Compiles the plan, runs it once, and reads back what the peer needs. */
async function prepare(): Promise<StepExample> {
  const file = (name: string) => readFile(join(shippedModel, name), "utf8");
  const config = readConfig("config.json", await file("config.json"));
  request = await stepRequest(config, await file("tokenizer.json"));
  executor = await createStep(gpu, config);
  writeRequest(executor, config, request);
  executor.run("request");
  await step();
  const start = performance.now();
  executor.run("request");
  await gpu.idle();
  const requestMs = performance.now() - start;
  const { size, text_dim: width, text_len: length } = config;
  const text = await executor.read("text.tokens");
  const rows = Array.from({ length: batch }, (_, row) =>
    text.subarray(row * length * width).slice(0, textTokens * width),
  );
  const tokens = async (level: number) => {
    const data = (await executor.read(`neighbors.level${level}`)) as Float32Array;
    return { data, shape: [batch, data.length / batch / width, width] };
  };
  return {
    machine,
    inputs: {
      x: { data: channelsFirst(request.x, size), shape: [batch, 3, size, size] },
      embedding: { data: (await executor.read("embedding")) as Float32Array, shape: [batch, config.time_dim] },
      text: { data: Float32Array.from(rows.flatMap((row) => [...row])), shape: [batch, textTokens, width] },
      fine: await tokens(0),
      coarse: await tokens(1),
    },
    v: channelsFirst((await executor.read("v")) as Float32Array, size),
    requestMs,
  };
}

/** Milliseconds of one step, from its inputs on the CPU to its result on the CPU, as the peer's `run` has it. */
async function step(): Promise<number> {
  const start = performance.now();
  executor.write("x", request.x);
  executor.write("t", Float32Array.of(time));
  executor.run("step");
  await executor.read("v");
  return performance.now() - start;
}

async function createStep(gpu: Gpu, config: ModelConfig): Promise<Executor> {
  const g = new GraphBuilder("f32");
  const x = g.input("x", [batch, config.size, config.size, 3], "step");
  const shape = { pictures: batch, evaluations: 1, texts: batch, neighbors: batch * neighborsEach } as const;
  const v = reimagen(g, config, shape, x, (name, value) => {
    if (!name.startsWith("down.")) g.output(name, value);
  });
  g.output("v", v);
  const graph = g.finish();
  const source = await openFileSource(join(shippedModel, "model.safetensors"));
  const weights = await loadWeights(gpu, await openSafetensors(source), weightsOf(graph));
  await source.close();
  await loadKernelsFor(gpu.traits);
  return createExecutor(gpu, compileGraph(graph, gpu.traits), weights);
}

function writeRequest(executor: Executor, config: ModelConfig, { prompts, pictures, captions }: StepRequest): void {
  const texts = [...prompts, ...captions];
  const lengths = Uint32Array.from(texts, ({ length }) => length);
  executor.write("text.ids", Uint32Array.from(texts.flatMap(({ ids }) => [...ids])));
  executor.write("text.lengths", lengths);
  executor.write("text.table", Uint32Array.from([...lengths].flatMap((length, row) => [row, length])));
  executor.write("neighbor.images", Float32Array.from(pictures.flatMap((picture) => [...picture])));
  const shownCaptions = captions.map(({ length }, i) => ({ row: batch + i, length }));
  for (const [name, table] of neighborTables(config, shownCaptions)) executor.write(name, table);
  const shown = prompts.map(({ length }, i) => ({
    text: { row: i, length },
    neighbors: { first: i * neighborsEach, count: neighborsEach },
  }));
  for (const [name, table] of stepTables(config, shown)) executor.write(name, table);
}

/** [batch, S, S, 3] -> [batch, 3, S, S]. */
function channelsFirst(data: Float32Array, size: number): Float32Array {
  const pixels = size ** 2;
  return Float32Array.from(data, (_, i) => {
    const sample = Math.floor(i / (3 * pixels));
    const channel = Math.floor(i / pixels) % 3;
    return data[(sample * pixels + (i % pixels)) * 3 + channel]!;
  });
}

/** What the parent may call. */
const methods = { prepare, step };
export type StepMethods = typeof methods;
serve(methods);
