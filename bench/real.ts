// Family `real`: U-Nets of public models at full size, with random weights that are made as they are loaded; nothing of them is ever whole in memory.

import { needsOf, type Storage, showBytes, totalBytes } from "../src/diffusion/pipeline/memory.ts";
import { loadablePart, unetPart } from "../src/diffusion/pipeline/parts.ts";
import { type UnetShape, unetConditions } from "../src/diffusion/pipeline/unet-model.ts";
import { makeResident } from "../src/diffusion/resident.ts";
import { ReimagenError } from "../src/errors.ts";
import type { Graph } from "../src/graph/graph.ts";
import { float32ToFloat16 } from "../src/io/float16.ts";
import { type Safetensors, tensorBytes } from "../src/io/safetensors.ts";
import { readUnetConfig } from "../src/models/diffusers/unet_config.ts";
import { parameterCount, tensorShapes } from "../src/models/tensors.ts";
import { loadKernelsFor } from "../src/ops/lazy_kernels.ts";
import type { Lab } from "./lab/lab.ts";
import { stableDiffusion15 } from "./lab/models.ts";
import type { Cell, Measurement, Section } from "./lab/report.ts";
import { spreadOf } from "./lab/statistics.ts";

const models: readonly { name: string; storage: Storage }[] = [
  { name: "SD 1.5 U-Net, weights f16", storage: { activations: "f16", weights: "f16" } },
  { name: "SD 1.5 U-Net, weights q8", storage: { activations: "f16", weights: "q8" } },
];

/** Loads each, and runs a first step and, where that did not take minutes, a second one. */
export async function real(lab: Lab): Promise<Section> {
  const rows: Cell[][] = [];
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  for (const model of models.filter(({ name }) => name.includes(lab.filter))) {
    const found = await runModel(lab, model.storage).catch((error: Error) => error);
    if (found instanceof Error) {
      notes.push(`${model.name} does not run here: ${found.message}`);
      continue;
    }
    const { parameters, flops, planned, held, loading, compiling, steps } = found;
    const least = Math.min(...steps);
    rows.push([
      ...[model.name, parameters / 1e6, flops / 1e9, loading, compiling, least, flops / least / 1e9],
      ...[showBytes(planned), showBytes(held)],
    ]);
    measurements.push({ name: model.name, unit: "s", better: "less", ...spreadOf(steps) });
  }
  return {
    title: "Real sizes: one step of public U-Nets, two evaluations, 77 tokens, 64x64 latents",
    tables: [
      {
        columns: [
          "model",
          "M parameters",
          "GFLOP",
          "s to load",
          "s to compile",
          "s a step",
          "GFLOP/s",
          "planned",
          "on the device",
        ],
        rows,
      },
    ],
    notes: [
      "Random weights in half precision, made a tensor at a time as they are loaded. The least of the steps taken; x was finite after them.",
      ...notes,
    ],
    measurements,
  };
}

/** A second step is not worth more seconds than this. */
const patience = 60;

async function runModel({ gpu, say }: Lab, storage: Storage) {
  const config = readUnetConfig("config.json", JSON.stringify(stableDiffusion15));
  const part = unetPart(config, false, storage);
  const shape: UnetShape = { ...part.probe, evaluations: 2, height: config.side!, width: config.side!, tokens: 77 };
  const graph = part.graph(shape);
  await loadKernelsFor(gpu.traits);
  const needs = needsOf(graph, gpu.traits);
  if (needs.refusal) throw new ReimagenError("limit", needs.refusal);
  say(`real: ${showBytes(totalBytes(needs))}, of which weights ${showBytes(needs.weights)}`);
  const before = gpu.allocatedBytes;
  const seconds = stopwatch();
  const resident = await makeResident(gpu, loadablePart(gpu, randomCheckpoint(graph), part));
  const loading = seconds();
  say(`real: loaded in ${loading.toFixed(0)} s`);
  try {
    const executor = await resident.borrow(shape);
    await gpu.idle();
    const compiling = seconds();
    say(`real: compiled in ${compiling.toFixed(0)} s`);
    const text = Float32Array.from({ length: 2 * 77 * config.text.inputs }, (_, i) => Math.sin(i));
    const conditions = unetConditions(config, shape, { text, seeds: [0] });
    for (const [name, data] of conditions.request) executor.write(name, data);
    executor.write("noise.key", Uint32Array.of(0, 0, 0, 0));
    const shown = [true, false].map((text) => ({ text, neighbors: false }));
    const row = executor.stepRow(
      new Map([
        ...conditions.step(500, shown),
        ["coefficients", Float32Array.of(1, -0.1, 1, 0, 0, 0, 0, 0)],
        ["weight", Float32Array.of(7.5)],
      ]),
    );
    const rows = gpu.allocate("step row", row.byteLength, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(rows, 0, row as Uint8Array<ArrayBuffer>);
    const encoder = gpu.device.createCommandEncoder();
    executor.encode("request", encoder);
    const [noise, x] = [executor.range("noise"), executor.range("x")];
    encoder.copyBufferToBuffer(noise.buffer, noise.offset, x.buffer, x.offset, x.size);
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.idle();
    const steps: number[] = [];
    while (steps.length === 0 || (steps.length < 3 && steps[0]! < patience)) {
      seconds();
      const step = gpu.device.createCommandEncoder();
      executor.takeStepRow(step, rows, 0);
      executor.encode("step", step);
      gpu.device.queue.submit([step.finish()]);
      await gpu.idle();
      steps.push(seconds());
      say(`real: a step in ${steps.at(-1)!.toFixed(1)} s`);
    }
    const held = gpu.allocatedBytes - before;
    const stray = (await executor.read("x.next")).find((value) => !Number.isFinite(value));
    if (stray !== undefined) throw new ReimagenError("not-finite", `the step made ${stray}`);
    gpu.release(rows);
    resident.giveBack(executor);
    const parameters = parameterCount(tensorShapes(graph));
    return { parameters, flops: needs.flops.step, planned: totalBytes(needs), held, loading, compiling, steps };
  } finally {
    resident.dispose();
  }
}

/** Seconds since it was last asked. */
function stopwatch(): () => number {
  let last = performance.now();
  return () => {
    const now = performance.now();
    const seconds = (now - last) / 1000;
    last = now;
    return seconds;
  };
}

/** As many numbers are really made; tensors repeat them. */
const distinct = 2 ** 16;

/** A checkpoint that has what the graph asks for, in half precision: norms near one, matrices and kernels that keep the size of what goes in. */
function randomCheckpoint(graph: Graph): Safetensors {
  const normals = Float32Array.from({ length: distinct }, (_, i) => {
    const [a, b] = [fraction(i * 0.618034 + 0.1), fraction(i * 0.754878 + 0.3)];
    return Math.sqrt(-2 * Math.log(1 - a)) * Math.cos(2 * Math.PI * b);
  });
  const tensors = new Map(
    [...tensorShapes(graph)].map(([name, shape]) => {
      const info = { name, dtype: "F16", shape } as const;
      return [name, { ...info, begin: 0, end: tensorBytes(info) }] as const;
    }),
  );
  return {
    name: "random weights",
    metadata: {},
    tensors,
    async read(name, _, range) {
      const { shape, end } = tensors.get(name)!;
      const inputs = shape.slice(1).reduce((product, extent) => product * extent, 1);
      const isNorm = shape.length === 1 && /norm.*weight$/.test(name);
      const values = normals.map((normal) =>
        isNorm ? 1 : shape.length > 1 ? normal / Math.sqrt(inputs) : 0.01 * normal,
      );
      const halves = new Uint8Array(float32ToFloat16(values).buffer);
      const { offset, length } = range ?? { offset: 0, length: end };
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; ) {
        const from = (offset + at) % halves.length;
        const piece = halves.subarray(from, from + length - at);
        bytes.set(piece, at);
        at += piece.length;
      }
      return bytes;
    },
  };
}

const fraction = (value: number) => value - Math.floor(value);
