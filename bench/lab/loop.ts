// A denoising loop with random weights, ready to run: what a model of any size costs does not depend on what it has learned.
import type { GenerationInputs } from "../../src/diffusion/inputs.ts";
import { stepRow, writeRequest } from "../../src/diffusion/inputs.ts";
import { denoisingLoop } from "../../src/diffusion/loop.ts";
import {
  type ReimagenShape,
  reimagenConditions,
  reimagenModel,
  textRows,
  usualLow,
} from "../../src/diffusion/reimagen.ts";
import { stepCoefficients } from "../../src/diffusion/samplers.ts";
import { alphaSigma, cosineSchedule } from "../../src/diffusion/schedule.ts";
import { samplingSettings } from "../../src/diffusion/settings.ts";
import type { Step } from "../../src/diffusion/slicer.ts";
import { ReimagenError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { DeviceTraits } from "../../src/gpu/traits.ts";
import { compileGraph, type Plan } from "../../src/graph/compile.ts";
import { costOf } from "../../src/graph/cost.ts";
import { createExecutor, type Executor, weightKey } from "../../src/graph/executor.ts";
import { type Graph, weightsOf } from "../../src/graph/graph.ts";
import { bytesOfType } from "../../src/graph/plan.ts";
import { type ProfiledDispatch, profileStage } from "../../src/graph/profile.ts";
import { tuneStage } from "../../src/graph/tune.ts";
import type { Tuned, Tuning } from "../../src/graph/tuning.ts";
import { float16ToFloat32, float32ToFloat16 } from "../../src/io/float16.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { sizeOf } from "../../src/ops/op.ts";
import { storedNormals } from "./dispatch.ts";

/** What of a loop can be chosen. */
export interface LoopSizes {
  /** Pictures at once; each is evaluated twice a step. Default 1. */
  readonly pictures?: number;
  /** Neighbours of the request, of models that see any. Default 2. */
  readonly neighbors?: number;
  /** Of the model a picture and step: two with guidance, which is the default. */
  readonly evaluations?: 1 | 2;
  readonly storage?: "f32" | "f16";
  /** Measurements to choose kernels by. */
  readonly tuning?: Tuning;
}

/** A loop on a device. */
export interface Loop {
  readonly plan: Plan;
  /** Operations of a step's dispatches. */
  flops(step?: Step): number;
  /** Numbers in the weights. */
  readonly parameters: number;
  /** Encodes a text-enhanced step as the engine does, or a neighbour-enhanced one, the short step: inputs from the CPU's rows, dispatches, states. */
  encode(encoder: GPUCommandEncoder, step?: Step): void;
  /** Runs texts, neighbours and the first noise. */
  request(): void;
  /** Times the step dispatch by dispatch. */
  profile(): Promise<ProfiledDispatch[]>;
  /** Measures every kernel that could run a dispatch of either step. */
  tune(): Promise<Tuning>;
  /** Throws where x is not finite: a time for such arithmetic would mean nothing. */
  check(): Promise<void>;
  dispose(): void;
}

/** A loop that is planned but not on a device. */
export interface PlannedLoop {
  readonly plan: Plan;
  readonly shape: ReimagenShape;
  /** Numbers in the weights. */
  readonly parameters: number;
}

/** Plans a loop of the default recipe for a model. Throws what `compileGraph` throws. */
export async function planLoop(traits: DeviceTraits, config: ModelConfig, sizes: LoopSizes = {}): Promise<PlannedLoop> {
  const { pictures = 1, neighbors = 2, storage = "f32", evaluations = 2, tuning } = sizes;
  const low = usualLow(config);
  const shape: ReimagenShape = {
    storage,
    pictures,
    evaluations,
    texts: textRows,
    neighbors: config.neighbors ? neighbors : 0,
    shortSteps: evaluations === 2,
    thresholding: { kind: "static", range: 1 },
    stochastic: false,
    multistep: true,
    ...(low && { low }),
  };
  await loadKernelsFor(traits);
  const plan = compileGraph(denoisingLoop(reimagenModel(config, shape), shape), traits, tuning);
  const parameters = weightsOf(plan.graph).reduce((sum, { type }) => sum + sizeOf(type), 0);
  return { plan, shape, parameters };
}

/** Plans a loop and gives it random weights. Throws what `createExecutor` throws. */
export async function openLoop(gpu: Gpu, config: ModelConfig, sizes: LoopSizes = {}): Promise<Loop> {
  const { plan, shape, parameters } = await planLoop(gpu.traits, config, sizes);
  const { neighbors } = shape;
  const weights = randomWeights(gpu, plan.graph);
  const executor = await createExecutor(gpu, plan, weights);
  const inputs = inputsOf(config, shape);
  const images = neighbors * config.size ** 2 * 3;
  writeRequest(executor, inputs);
  if (neighbors)
    executor.write(
      "neighbor.images",
      Float32Array.from({ length: images }, (_, i) => Math.sin(i)),
    );
  const rows = [0, 1].map((step) => stepRow(executor, inputs, step) as Uint8Array<ArrayBuffer>);
  const bytes = executor.stepRowBytes;
  const buffer = gpu.allocate("step rows", 2 * bytes, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
  for (const [i, row] of rows.entries()) gpu.device.queue.writeBuffer(buffer, i * bytes, row);
  return {
    plan,
    flops: (step = "step") => plan.schedule[step].reduce((sum, planned) => sum + costOf(planned).flops, 0),
    parameters,
    encode(encoder, step = "step") {
      executor.takeStepRow(encoder, buffer, step === "step" ? 0 : bytes);
      executor.encode(step, encoder);
    },
    request: () => begin(gpu, executor),
    async tune() {
      const tuning = new Map<string, Tuned>();
      begin(gpu, executor);
      for (const [i, run] of (["step", "short step"] as const).entries()) {
        const encoder = gpu.device.createCommandEncoder();
        executor.takeStepRow(encoder, buffer, i * bytes);
        gpu.device.queue.submit([encoder.finish()]);
        await tuneStage(gpu, executor, run, tuning);
      }
      return tuning;
    },
    profile: () => profileStage(gpu, executor, "step"),
    async check() {
      const x = await executor.read("x.next");
      const at = x.findIndex((value) => !Number.isFinite(value));
      if (at >= 0) throw new ReimagenError("not-finite", `the loop with random weights made ${x[at]} at value ${at}`);
    },
    dispose() {
      executor.dispose();
      gpu.release(buffer);
      for (const weight of weights.values()) gpu.release(weight);
    },
  };
}

/** Encodes texts and neighbours, and lets x be noise. */
function begin(gpu: Gpu, executor: Executor): void {
  const encoder = gpu.device.createCommandEncoder();
  executor.encode("request", encoder);
  const [from, to] = [executor.range("noise"), executor.range("x")];
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
  gpu.device.queue.submit([encoder.finish()]);
}

/** A text-enhanced step, which costs the most as both evaluations see the neighbours, and a neighbour-enhanced one. */
function inputsOf(config: ModelConfig, shape: ReimagenShape): GenerationInputs {
  const { pictures, neighbors, evaluations, low } = shape;
  const length = Math.min(8, config.text_len);
  const text = (seed: number) => ({
    ids: Int32Array.from({ length: config.text_len }, (_, i) =>
      i < length ? 1 + ((seed * 31 + i * 17) % (config.vocab - 1)) : 0,
    ),
    length,
  });
  const settings = samplingSettings({ steps: 2, sampler: "dpm-solver++" });
  const coefficients = stepCoefficients(cosineSchedule, "v", settings);
  const conditional = { text: true, neighbors: true };
  const bases = [
    { text: false, neighbors: true },
    { text: true, neighbors: false },
  ];
  const steps = bases.map((base) => ({ conditional, base: evaluations === 2 ? base : undefined, weight: 3 }));
  const captions = Array.from({ length: neighbors }, (_, i) => text(3 + i));
  const seeds = Array.from({ length: pictures }, (_, i) => i);
  const noisedLow = low && {
    pictures: {
      ...low,
      values: Float32Array.from({ length: pictures * low.height * low.width * 3 }, (_, i) => Math.sin(i)),
    },
    level: 0.1,
    scales: alphaSigma(cosineSchedule, 0.1),
    seeds,
  };
  return {
    conditions: reimagenConditions(
      config,
      { prompt: text(1), empty: text(2), captions },
      cosineSchedule,
      shape,
      noisedLow,
    ),
    seeds,
    coefficients,
    guidance: Array.from({ length: pictures }, () => steps),
  };
}

/** Normal weights of a variance that keeps activations near 1, uploaded in pieces. */
function randomWeights(gpu: Gpu, graph: Graph): Map<string, GPUBuffer> {
  const buffers = new Map<string, GPUBuffer>();
  for (const value of weightsOf(graph)) {
    const { shape, dtype } = value.type;
    const bytes = bytesOfType(value.type);
    const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
    const buffer = gpu.allocate(weightKey(value), bytes, usage);
    buffers.set(weightKey(value), buffer);
    const piece = scaledNormals(
      dtype === "f16" ? "f16" : "f32",
      1 / Math.sqrt(shape.slice(0, -1).reduce((n, k) => n * k, 1)),
    );
    for (let at = 0; at < bytes; at += piece.byteLength)
      gpu.device.queue.writeBuffer(buffer, at, piece, 0, Math.min(piece.byteLength, Math.ceil(bytes / 4) * 4 - at));
  }
  return buffers;
}

/** A mebibyte of normals. */
function scaledNormals(dtype: "f32" | "f16", scale: number): Uint8Array<ArrayBuffer> {
  const { bytes, type } = storedNormals({ shape: [2 ** (dtype === "f16" ? 19 : 18)], dtype }, 1);
  const values =
    type.dtype === "f16" ? float16ToFloat32(new Uint16Array(bytes.buffer)) : new Float32Array(bytes.buffer);
  const scaled = values.map((value) => value * scale);
  const stored = dtype === "f16" ? float32ToFloat16(scaled) : scaled;
  return new Uint8Array(stored.buffer as ArrayBuffer, stored.byteOffset, stored.byteLength);
}
