// Streams a checkpoint's tensors to the GPU, one at a time.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { weightKey } from "../graph/executor.ts";
import type { Value, Weight } from "../graph/graph.ts";
import { bytesOfType } from "../graph/plan.ts";
import { isQuantized, scaleName } from "../io/quantized.ts";
import type { Safetensors } from "../io/safetensors.ts";
import { showShape } from "../ops/op.ts";
import { createUploader } from "./upload.ts";

/** Options of `loadWeights`. */
export interface LoadOptions {
  /** Called with bytes of weights that are on the device, and in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
  /** Called when loading begins, its own kernels being compiled: others that are compiled from then on do not hold it up. */
  readonly onBegin?: () => void;
  readonly signal?: AbortSignal;
}

/**
 * Throws `tensor` (missing or misshapen) or `config` (tensors that the model has no place for) before anything is read:
 * a config and a checkpoint that contradict each other never reach the device.
 */
export function checkCheckpoint(checkpoint: Safetensors, weights: readonly Value[]): void {
  const expected = new Set<string>();
  for (const { names, shape, layout } of weights.map(weightOf))
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
      if (layout !== "plain" && isQuantized(checkpoint, info)) expected.add(scaleName(name));
      else if (!["F32", "F16", "BF16"].includes(info.dtype))
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
  const total = weights.reduce((sum, { type }) => sum + bytesOfType(type), 0);
  let loaded = 0;
  // Tuning reads them back to compute what a kernel should have made of them.
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const uploader = createUploader(gpu, checkpoint);
  try {
    await uploader.compile(weights.map((value) => [value, weightOf(value)]));
    options.onBegin?.();
    for (const value of weights) {
      const key = weightKey(value);
      const buffer = gpu.allocate(key, bytesOfType(value.type), usage);
      buffers.set(key, buffer);
      await uploader.upload(value, weightOf(value), buffer, options.signal);
      loaded += bytesOfType(value.type);
      options.onProgress?.(loaded, total);
    }
    return buffers;
  } catch (error) {
    for (const buffer of buffers.values()) gpu.release(buffer);
    throw error;
  } finally {
    uploader.dispose();
  }
}

function weightOf(value: Value): Weight {
  if (value.source.kind !== "weight") throw new ReimagenError("argument", `value ${value.id} is not a weight`);
  return value.source.weight;
}
