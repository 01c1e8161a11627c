// Streams a checkpoint's tensors to the GPU, one at a time, repacked as the graph wants them.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { weightKey } from "../graph/executor.ts";
import { storedShape, type Value, type Weight } from "../graph/graph.ts";
import { bytesOfType } from "../graph/plan.ts";
import { float32ToFloat16 } from "../io/float16.ts";
import { type Safetensors, toFloat32 } from "../io/safetensors.ts";
import { showShape } from "../ops/op.ts";

/** Options of `loadWeights`. */
export interface LoadOptions {
  /** Called with bytes of the checkpoint read so far and in all. */
  readonly onProgress?: (read: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Throws `tensor` (missing or misshapen) or `config` (tensors that the model has no place for) before anything is read:
 * a config and a checkpoint that contradict each other never reach the device.
 */
export function checkCheckpoint(checkpoint: Safetensors, weights: readonly Value[]): void {
  const expected = new Set<string>();
  for (const { names, shape } of weights.map(weightOf))
    for (const name of names) {
      expected.add(name);
      const info = checkpoint.tensors.get(name);
      if (!info)
        throw new ReimagenError(
          "tensor",
          `${checkpoint.name} has no tensor ${name} ${showShape(shape)}, which the config asks for`,
        );
      if (showShape(info.shape) !== showShape(shape))
        throw new ReimagenError(
          "tensor",
          `${checkpoint.name}: tensor ${name} should be ${showShape(shape)} by the config, got ${showShape(info.shape)}`,
        );
      if (!["F32", "F16", "BF16"].includes(info.dtype))
        throw new ReimagenError(
          "dtype",
          `${checkpoint.name}: tensor ${name} should be F32, F16 or BF16, got ${info.dtype}`,
        );
    }
  for (const name of checkpoint.tensors.keys())
    if (!expected.has(name))
      throw new ReimagenError("config", `${checkpoint.name} has a tensor ${name} that the config has no place for`);
}

/**
 * Loads the weights that a graph reads; buffers by `weightKey`. Throws what `checkCheckpoint` throws, `not-finite` naming the tensor
 * with a NaN or an infinity, and `aborted`; nothing stays on the device then.
 */
export async function loadWeights(
  gpu: Gpu,
  checkpoint: Safetensors,
  weights: readonly Value[],
  options: LoadOptions = {},
): Promise<Map<string, GPUBuffer>> {
  checkCheckpoint(checkpoint, weights);
  const buffers = new Map<string, GPUBuffer>();
  const total = [...checkpoint.tensors.values()].reduce((sum, { begin, end }) => sum + end - begin, 0);
  let read = 0;
  try {
    for (const value of weights) {
      const key = weightKey(value);
      const data = await readWeight(checkpoint, value, options.signal);
      const buffer = gpu.allocate(
        key,
        bytesOfType(value.type),
        GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
      );
      buffers.set(key, buffer);
      gpu.device.queue.writeBuffer(buffer, 0, data);
      for (const name of weightOf(value).names)
        read += checkpoint.tensors.get(name)!.end - checkpoint.tensors.get(name)!.begin;
      options.onProgress?.(read, total);
    }
    return buffers;
  } catch (error) {
    for (const buffer of buffers.values()) gpu.release(buffer);
    throw error;
  }
}

async function readWeight(
  checkpoint: Safetensors,
  value: Value,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const { names, shape, layout } = weightOf(value);
  const parts: Float32Array[] = [];
  for (const name of names) {
    const part = toFloat32(await checkpoint.read(name, signal), checkpoint.tensors.get(name)!.dtype);
    const at = part.findIndex((v) => !Number.isFinite(v));
    if (at >= 0)
      throw new ReimagenError("not-finite", `${checkpoint.name}: tensor ${name} has ${part[at]} at element ${at}`);
    parts.push(part);
  }
  const joined = parts.length === 1 ? parts[0]! : join(parts);
  const packed = repack(joined, [shape[0]! * names.length, ...shape.slice(1)], layout);
  const stored = value.type.dtype === "f16" ? float32ToFloat16(packed) : packed;
  const bytes = new Uint8Array(Math.ceil(stored.byteLength / 4) * 4);
  bytes.set(new Uint8Array(stored.buffer, stored.byteOffset, stored.byteLength));
  return bytes;
}

function join(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** From PyTorch's layout to the kernels': the output channel becomes the last, contiguous axis. */
export function repack(data: Float32Array, shape: readonly number[], layout: Weight["layout"]): Float32Array {
  if (layout === "plain") return data;
  const [outputs, inputs] = shape as [number, number];
  const taps = layout === "conv" ? shape[2]! * shape[3]! : 1;
  const packed = new Float32Array(storedShape(shape, layout).reduce((product, extent) => product * extent, 1));
  let from = 0;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let tap = 0; tap < taps; tap++) packed[(tap * inputs + i) * outputs + o] = data[from++]!;
  return packed;
}

function weightOf(value: Value): Weight {
  if (value.source.kind !== "weight") throw new ReimagenError("argument", `value ${value.id} is not a weight`);
  return value.source.weight;
}
