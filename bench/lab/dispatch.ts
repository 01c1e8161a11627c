// One op's dispatch by itself: buffers with known values, a bind group, a result to read.
import { ReimagenError } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { parameterBytes } from "../../src/gpu/kernel.ts";
import { bytesOfType } from "../../src/graph/plan.ts";
import { float16ToFloat32, float32ToFloat16 } from "../../src/io/float16.ts";
import { type Launch, sizeOf, type TensorType } from "../../src/ops/op.ts";
import type { Encode } from "./clock.ts";

/** A tensor's values as they lie in memory. */
export interface Stored {
  readonly type: TensorType;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Buffers of an op's operands; null where one is missing or has no elements. */
export type OperandBuffers = readonly (GPUBuffer | null)[];

/** A dispatch that can be run any number of times. */
export interface Prepared {
  readonly encode: Encode;
  /** Runs it once and reads the result. */
  read(): Promise<Float64Array>;
  dispose(): void;
}

/** Uploads operands; `releaseAll` gives the buffers back. Throws `limit`. */
export function upload(gpu: Gpu, operands: readonly (Stored | null)[]): OperandBuffers {
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  return operands.map((operand, i) => {
    if (!operand || operand.bytes.length === 0) return null;
    const buffer = gpu.allocate(`operand ${i}`, operand.bytes.length, usage);
    gpu.device.queue.writeBuffer(buffer, 0, operand.bytes);
    return buffer;
  });
}

/** Frees what `upload` made. */
export function releaseAll(gpu: Gpu, buffers: OperandBuffers): void {
  for (const buffer of buffers) if (buffer) gpu.release(buffer);
}

/** Compiles a launch and binds it to operands and to a result of its own. Throws `kernel`, `limit`. */
export async function prepare(
  gpu: Gpu,
  { kernel, workgroups, parameters }: Launch,
  operands: OperandBuffers,
  types: readonly (TensorType | null)[],
  output: TensorType,
): Promise<Prepared> {
  const { maxStorageBufferBindingSize: most } = gpu.traits.limits;
  const largest = Math.max(...[...types, output].map((type) => (type ? bytesOfType(type) : 0)));
  if (largest > most)
    throw new ReimagenError(
      "limit",
      `${kernel.name} needs bindings of ${largest} bytes, but the device allows ${most}`,
    );
  const { pipeline, layout } = await gpu.compile(kernel);
  const bytes = padded(bytesOfType(output));
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC;
  const result = gpu.allocate("result", bytes, usage);
  const absent = gpu.allocate("absent operand", 16, GPUBufferUsage.STORAGE);
  const owned = [result, absent];
  const bound = kernel.bindings.slice(0, -1).map((_, i) => {
    const buffer = operands[i];
    return buffer ? { buffer, size: padded(bytesOfType(types[i]!)) } : { buffer: absent, size: 16 };
  });
  bound.push({ buffer: result, size: bytes });
  if (kernel.parameters) {
    const values = new Uint32Array(parameterBytes(kernel) / 4);
    values.set(parameters ?? []);
    const uniform = gpu.allocate("parameters", values.byteLength, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(uniform, 0, values);
    owned.push(uniform);
    bound.push({ buffer: uniform, size: values.byteLength });
  }
  const group = gpu.device.createBindGroup({
    layout,
    entries: bound.map((resource, binding) => ({ binding, resource })),
  });
  const encode: Encode = (pass) => {
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...workgroups);
  };
  return {
    encode,
    async read() {
      const encoder = gpu.device.createCommandEncoder();
      const pass = encoder.beginComputePass();
      encode(pass);
      pass.end();
      gpu.device.queue.submit([encoder.finish()]);
      return decode(await gpu.read(result, 0, bytesOfType(output)), output);
    },
    dispose: () => {
      for (const buffer of owned) gpu.release(buffer);
    },
  };
}

/** Values of a tensor in f64, or its integers. */
export function decode(bytes: ArrayBuffer, type: TensorType): Float64Array {
  const count = sizeOf(type);
  if (type.dtype === "u32") return Float64Array.from(new Uint32Array(bytes, 0, count));
  if (type.dtype === "f16") return Float64Array.from(float16ToFloat32(new Uint16Array(bytes, 0, count)));
  return Float64Array.from(new Float32Array(bytes, 0, count));
}

/** Integers as a tensor. */
export function storedIntegers(type: TensorType, values: Uint32Array): Stored {
  return { type, bytes: new Uint8Array(Uint32Array.from(values).buffer) };
}

// A prime number of values, so that no axis of a tensor repeats itself.
const poolSize = 65521;
let pool: Float32Array | undefined;

/** Normal values for a tensor of any size: a fixed list of 65,521 over and over, beginning at another place for each `seed`. */
export function storedNormals(type: TensorType, seed: number): Stored {
  pool ??= normals(poolSize);
  const from = (seed * 7919) % poolSize;
  const turned = new Float32Array(poolSize);
  turned.set(pool.subarray(from));
  turned.set(pool.subarray(0, from), poolSize - from);
  const block = type.dtype === "f16" ? float32ToFloat16(turned) : turned;
  const width = block.BYTES_PER_ELEMENT;
  const used = sizeOf(type) * width;
  const bytes = new Uint8Array(padded(used));
  bytes.set(new Uint8Array(block.buffer, block.byteOffset, Math.min(used, block.byteLength)));
  for (let done = block.byteLength; done < used; done *= 2) bytes.copyWithin(done, 0, Math.min(done, used - done));
  return { type, bytes };
}

/** The same values in f32, which every kernel of last resort takes. */
export function inF32({ type, bytes }: Stored): Stored {
  if (type.dtype !== "f16") return { type, bytes };
  const values = float16ToFloat32(new Uint16Array(bytes.buffer, 0, sizeOf(type)));
  return { type: { ...type, dtype: "f32" }, bytes: new Uint8Array(Float32Array.from(values).buffer) };
}

const padded = (bytes: number) => Math.ceil(bytes / 4) * 4;

/** Box & Muller (1958) over a small generator: the same list every time. */
function normals(count: number): Float32Array {
  let state = 1;
  const uniform = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}
