// diffusers' small U-Nets and autoencoder, for tests: a folder of fixtures, and one run of its model.
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor, type TensorData } from "../../src/graph/executor.ts";
import { GraphBuilder, type Value, weightsOf } from "../../src/graph/graph.ts";
import { openSafetensors, type Safetensors, toFloat32 } from "../../src/io/safetensors.ts";
import { type Shown, unet, unetKeysAndValues, unetTables } from "../../src/models/diffusers/unet.ts";
import type { UnetConfig } from "../../src/models/diffusers/unet_config.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { fixture, fixtureText } from "../fixture.ts";
import { testGpu } from "../gpu.ts";
import { interpret } from "../graph/graphs.ts";
import { repack } from "./repack.ts";

/** A model's files beside what it should compute. */
export interface Recorded {
  readonly config: string;
  readonly checkpoint: Safetensors;
  readonly golden: Safetensors;
}

/** One folder of `test/fixtures/diffusers-tiny`. */
export async function recorded(name: string): Promise<Recorded> {
  const folder = `test/fixtures/diffusers-tiny/${name}`;
  return {
    config: await fixtureText(`${folder}/config.json`),
    checkpoint: await openSafetensors(await fixture(`${folder}/diffusion_pytorch_model.safetensors`)),
    golden: await openSafetensors(await fixture(`${folder}/golden.safetensors`)),
  };
}

/** Builds a graph with one output `y`, writes its inputs, runs it, reads `y`. */
export async function runGraph(
  storage: "f32" | "f16",
  checkpoint: Safetensors,
  build: (g: GraphBuilder) => Value,
  inputs: ReadonlyMap<string, TensorData>,
): Promise<Float32Array> {
  const gpu = await testGpu();
  const g = new GraphBuilder(storage);
  g.output("y", build(g));
  const graph = g.finish();
  const weights = await loadWeights(gpu, checkpoint, weightsOf(graph));
  const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), weights);
  for (const [name, data] of inputs) executor.write(name, data);
  executor.run("request");
  executor.run("step");
  const y = (await executor.read("y")) as Float32Array;
  executor.dispose();
  for (const buffer of weights.values()) gpu.release(buffer);
  return y;
}

/** What the same graph's output `y` is by its ops' f64 references; `instead`: as in `interpret`. */
export async function interpretGraph(
  checkpoint: Safetensors,
  build: (g: GraphBuilder) => Value,
  inputs: ReadonlyMap<string, TensorData>,
  instead?: Parameters<typeof interpret>[3],
): Promise<Float64Array> {
  const g = new GraphBuilder("f32");
  g.output("y", build(g));
  const graph = g.finish();
  const weights = new Map<Value, Float64Array>();
  for (const value of weightsOf(graph)) {
    if (value.source.kind !== "weight") continue;
    const { names, shape, layout } = value.source.weight;
    const parts: Float32Array[] = [];
    for (const name of names) parts.push(toFloat32(await checkpoint.read(name), checkpoint.tensors.get(name)!.dtype));
    const joined = Float32Array.from(parts.flatMap((part) => [...part]));
    weights.set(value, Float64Array.from(repack(joined, [shape[0]! * names.length, ...shape.slice(1)], layout)));
  }
  const given = Object.fromEntries([...inputs].map(([name, data]) => [name, Float64Array.from(data)]));
  return interpret(graph, given, weights, instead).get("y")!;
}

/** One evaluation of a U-Net. */
export interface UnetExample {
  readonly config: UnetConfig;
  readonly checkpoint: Safetensors;
  readonly storage: "f32" | "f16";
  readonly size: readonly [height: number, width: number];
  /** [B, H, W, C] */
  readonly sample: Float32Array<ArrayBuffer>;
  /** [B] */
  readonly time: Float32Array<ArrayBuffer>;
  /** [rows, T, D] */
  readonly text: Float32Array<ArrayBuffer>;
  readonly texts: readonly [rows: number, length: number];
  /** [B] */
  readonly classes?: TensorData;
  /** What each sample sees; its own row whole, and all neighbours, when absent. */
  readonly shown?: readonly Shown[];
  /** Pictures that attentions of these levels see, each with the text of its own row. */
  readonly neighbors?: Pick<UnetExample, "sample" | "size" | "time" | "text" | "texts"> & {
    readonly levels: readonly number[];
  };
}

/** Runs it; prediction [B, H, W, outputs]. `change`: of the tables that say who attends to what. */
export async function runUnet(
  example: UnetExample,
  change: (table: Uint32Array<ArrayBuffer>) => Uint32Array<ArrayBuffer> = (table) => table,
): Promise<Float32Array> {
  const { config, size, texts, classes, neighbors } = example;
  const batch = example.sample.length / size[0] / size[1] / config.inputs;
  const count = neighbors?.texts[0] ?? 0;
  const all = (_: unknown, row: number) => ({ row, length: texts[1], neighbors: count });
  const shown = example.shown ?? Array.from({ length: batch }, all);
  const inputs = new Map<string, TensorData>([
    ["sample", example.sample],
    ["time", example.time],
    ["text", example.text],
  ]);
  const others = neighbors && { levels: neighbors.levels, height: neighbors.size[0], width: neighbors.size[1] };
  for (const [name, table] of unetTables(config, size, shown, others))
    inputs.set(name, name === "rows" ? table : change(table));
  if (classes) inputs.set("classes", classes);
  for (const name of ["sample", "time", "text"] as const) if (neighbors) inputs.set(`other.${name}`, neighbors[name]);
  const build = (g: GraphBuilder) =>
    unet(g, config, {
      sample: g.input("sample", [batch, ...size, config.inputs], "step"),
      time: g.input("time", [example.time.length], "step"),
      text: g.input("text", [...texts, config.text.inputs], "request"),
      ...(classes && {
        classes: g.input("classes", [batch], "request", classes instanceof Uint32Array ? "u32" : "f32"),
      }),
      ...(neighbors && { neighbors: { levels: neighbors.levels, keysAndValues: keysAndValues(g, config, neighbors) } }),
    });
  return runGraph(example.storage, example.checkpoint, build, inputs);
}

function keysAndValues(g: GraphBuilder, config: UnetConfig, neighbors: NonNullable<UnetExample["neighbors"]>) {
  const { texts, size, time, levels } = neighbors;
  const inputs = {
    sample: g.input("other.sample", [texts[0], ...size, config.inputs], "request"),
    time: g.input("other.time", [time.length], "request"),
    text: g.input("other.text", [...texts, config.text.inputs], "request"),
  };
  return unetKeysAndValues(g, config, inputs, levels);
}
