// Puts a checkpoint's tensors onto the device a piece at a time, transposed there as the kernels want them.
import q8 from "../../kernels/repack.q8.wgsl";
import simple from "../../kernels/repack.simple.wgsl";
import source from "../../kernels/repack.source.wgsl";
import vec4 from "../../kernels/repack.vec4.wgsl";
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { type Kernel, Q8_BLOCK } from "../gpu/kernel.ts";
import type { Value, Weight } from "../graph/graph.ts";
import { bytesOfType } from "../graph/plan.ts";
import { float32ToFloat16 } from "../io/float16.ts";
import { scaleName } from "../io/quantized.ts";
import { type Safetensors, type TensorInfo, toFloat32 } from "../io/safetensors.ts";
import { grid1d, storageOf } from "../ops/op.ts";

/** Reads tensors into buffers of the device; nothing larger than a few pieces is held in memory. */
export interface Uploader {
  /** Compiles what uploading these takes. */
  compile(weights: readonly (readonly [Value, Weight])[]): Promise<void>;
  /** Fills the weight's buffer. Throws `not-finite` naming the tensor with a NaN or an infinity, and what reading throws. */
  upload(value: Value, weight: Weight, buffer: GPUBuffer, signal?: AbortSignal): Promise<void>;
  /** Frees what the uploads went through. */
  dispose(): void;
}

// Large enough that each read of a file and each dispatch is worth its while, small beside any model.
const pieceBytes = 2 ** 23;
/** Bytes that may be on their way to the device at once: the whole of a small model, so that nobody waits for its device to be ready. */
const bytesInFlight = 8 * pieceBytes;

const kinds = { F32: 0, F16: 1, BF16: 2, I8: 3 } as const;
const parameters = ["COUNT", "INPUTS", "TAPS", "OUTPUTS", "FIRST"];

/** Makes an uploader for the tensors of a checkpoint. */
export function createUploader(gpu: Gpu, checkpoint: Safetensors): Uploader {
  const { queue } = gpu.device;
  const staging = gpu.allocate("piece of a weight", pieceBytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
  const uniform = gpu.allocate("place of a piece", 32, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  let inFlight = 0;

  /** Does not wait for the device until enough is on its way there. */
  async function sent(bytes: number): Promise<void> {
    inFlight += bytes;
    if (inFlight < bytesInFlight) return;
    inFlight = 0;
    await gpu.idle();
  }

  /** `begin`: the place of its first element. */
  async function copy(
    info: TensorInfo,
    value: Value,
    begin: number,
    buffer: GPUBuffer,
    signal?: AbortSignal,
  ): Promise<void> {
    const half = value.type.dtype === "f16";
    let offset = begin * (half ? 2 : 4);
    for await (const { words, count } of piecesOf(checkpoint, info, 1, 4, signal)) {
      queue.writeBuffer(buffer, offset, stored(words, info, count, half));
      offset += count * (half ? 2 : 4);
      await sent(words.length);
    }
  }

  /** `first`: the output that its first row becomes. */
  async function transpose(
    info: TensorInfo,
    value: Value,
    first: number,
    buffer: GPUBuffer,
    signal?: AbortSignal,
  ): Promise<void> {
    const [, inputs = 1, ...kernelExtents] = info.shape;
    const taps = kernelExtents.reduce((product, extent) => product * extent, 1);
    const outputs = value.type.shape.at(-1)!;
    const inFours = isInFours(info, value, first);
    const { pipeline, layout } = await gpu.compile(repackKernel(info, value, inFours));
    const threads = (rows: number) => {
      if (value.type.dtype === "q8") return (rows / 4) * Math.ceil((inputs * taps) / Q8_BLOCK);
      return (rows * inputs * taps) / (inFours ? 16 : 1);
    };
    let row = first;
    for await (const { words, count } of piecesOf(checkpoint, info, inputs * taps, inFours ? 4 : 1, signal)) {
      queue.writeBuffer(staging, 0, words);
      queue.writeBuffer(uniform, 0, Uint32Array.of(count, inputs, taps, outputs, row));
      const entries = [
        { binding: 0, resource: { buffer: staging } },
        { binding: 1, resource: { buffer, size: Math.ceil(bytesOfType(value.type) / 4) * 4 } },
        { binding: 2, resource: { buffer: uniform } },
      ];
      const encoder = gpu.device.createCommandEncoder({ label: "repack" });
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, gpu.device.createBindGroup({ layout, entries }));
      pass.dispatchWorkgroups(...grid1d(threads(count), 64));
      pass.end();
      queue.submit([encoder.finish()]);
      row += count;
      await sent(words.length);
    }
  }

  return {
    async compile(weights) {
      const kernels = weights.flatMap(([value, { names, layout, shape }]) =>
        layout === "plain"
          ? []
          : names.map((name, i) => {
              const info = checkpoint.tensors.get(name)!;
              return repackKernel(info, value, isInFours(info, value, i * shape[0]!));
            }),
      );
      await Promise.all(kernels.map((kernel) => gpu.compile(kernel)));
    },
    async upload(value, { names, layout, shape }, buffer, signal) {
      const width = shape.slice(1).reduce((product, extent) => product * extent, 1);
      let first = 0;
      for (const name of names) {
        const info = checkpoint.tensors.get(name)!;
        if (layout === "plain") await copy(info, value, first * width, buffer, signal);
        else await transpose(info, value, first, buffer, signal);
        first += shape[0]!;
      }
    },
    dispose() {
      gpu.release(staging);
      gpu.release(uniform);
    },
  };
}

/** A piece in the storage of its weight, padded to whole words. */
function stored(
  words: Uint8Array<ArrayBuffer>,
  info: TensorInfo,
  count: number,
  half: boolean,
): Uint8Array<ArrayBuffer> {
  if (info.dtype === (half ? "F16" : "F32")) return words;
  const values = toFloat32(words.subarray(0, count * bytesOf(info)), info.dtype);
  const converted = half ? float32ToFloat16(values) : values;
  const bytes = new Uint8Array(Math.ceil(converted.byteLength / 4) * 4);
  bytes.set(new Uint8Array(converted.buffer, converted.byteOffset, converted.byteLength));
  return bytes;
}

const bytesOf = ({ dtype }: TensorInfo) => [4, 2, 2, 1][kinds[dtype as keyof typeof kinds]]!;

/** Whether rows, inputs and outputs can be taken four at a time, where the tensor's first row becomes output `first`. */
function isInFours({ shape: [rows, inputs = 1] }: TensorInfo, { type }: Value, first: number): boolean {
  return [first, type.shape.at(-1)!, rows!, inputs].every((extent) => extent % 4 === 0);
}

function repackKernel({ dtype }: TensorInfo, { type }: Value, inFours: boolean): Kernel {
  const variant = type.dtype === "q8" ? "q8" : inFours ? "vec4" : "simple";
  return {
    name: `repack.${variant}`,
    code: source + { q8, vec4, simple }[variant],
    bindings: ["read", "write"],
    parameters,
    constants: { KIND: kinds[dtype as keyof typeof kinds] },
    ...(variant === "vec4" && { storage: { y: storageOf(type) } }),
  };
}

/** Rows of `width` elements, at most a piece of them and a multiple of `unit` but at the end, padded to whole words; behind 8-bit ones their scales. */
async function* piecesOf(
  checkpoint: Safetensors,
  info: TensorInfo,
  width: number,
  unit: number,
  signal?: AbortSignal,
): AsyncGenerator<{ words: Uint8Array<ArrayBuffer>; count: number }> {
  const scale = info.dtype === "I8" ? checkpoint.tensors.get(scaleName(info.name)) : undefined;
  const tensors = scale ? [info, scale] : [info];
  const widths = [width, Math.ceil(width / Q8_BLOCK)];
  const rowBytes = tensors.reduce((sum, each, i) => sum + widths[i]! * bytesOf(each), 0);
  const rows = (info.end - info.begin) / (width * bytesOf(info));
  const most = Math.floor(pieceBytes / rowBytes / unit) * unit;
  if (most === 0)
    throw new ReimagenError(
      "tensor",
      `${checkpoint.name}: tensor ${info.name} has rows of ${rowBytes} bytes, more than can be loaded at a time`,
    );
  for (let row = 0; row < rows; row += most) {
    const count = Math.min(most, rows - row);
    const ranges = tensors.map((each, i) => {
      const bytes = widths[i]! * bytesOf(each);
      return { offset: row * bytes, length: count * bytes };
    });
    const parts: Uint8Array[] = [];
    for (const [i, { name }] of tensors.entries())
      parts.push(await checkpoint.read(name, signal, count < rows ? ranges[i] : undefined));
    const words = inWords(parts);
    let at = 0;
    for (const [i, each] of tensors.entries()) {
      if (each.dtype !== "I8") checkFinite(checkpoint, each, words.subarray(at), row * widths[i]!, count * widths[i]!);
      at += ranges[i]!.length;
    }
    yield { words, count };
  }
}

/** The parts one behind the other, padded to whole words; what is so already is not copied. */
function inWords(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const [only] = parts;
  if (parts.length === 1 && only!.length % 4 === 0 && only!.byteOffset % 4 === 0)
    return only as Uint8Array<ArrayBuffer>;
  const bytes = parts.reduce((sum, { length }) => sum + length, 0);
  const words = new Uint8Array(Math.ceil(bytes / 4) * 4);
  let at = 0;
  for (const part of parts) {
    words.set(part, at);
    at += part.length;
  }
  return words;
}

function checkFinite(
  checkpoint: Safetensors,
  info: TensorInfo,
  words: Uint8Array<ArrayBuffer>,
  first: number,
  count: number,
): void {
  const bits = new (info.dtype === "F32" ? Uint32Array : Uint16Array)(words.buffer, words.byteOffset, count);
  // All ones where infinities and NaNs have their exponent.
  const exponent = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 }[info.dtype as "F32"];
  for (let i = 0; i < count; i++) {
    if ((bits[i]! & exponent) !== exponent) continue;
    const size = bytesOf(info);
    const value = toFloat32(words.subarray(i * size, (i + 1) * size), info.dtype)[0];
    throw new ReimagenError(
      "not-finite",
      `${checkpoint.name}: tensor ${info.name} has ${value} at element ${first + i}`,
    );
  }
}
