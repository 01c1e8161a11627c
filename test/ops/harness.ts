// Runs every variant of an op on random shapes and compares it with the op's f64 reference.
import { describe, expect, it } from "vitest";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { parameterBytes } from "../../src/gpu/kernel.ts";
import type { DeviceTraits } from "../../src/gpu/traits.ts";
import { float16ToFloat32, float32ToFloat16 } from "../../src/io/float16.ts";
import { type Launch, type Op, type Operands, sizeOf, type TensorType, type Variant } from "../../src/ops/op.ts";
import { inNode, testGpu } from "../gpu.ts";
import { q8Bytes, q8Values, quantize } from "./q8.ts";

/** One input: its type, and its values (random normals when absent; integers for `u32`). Null: the optional operand is missing. */
export type Input = { type: TensorType; data?: Float64Array } | null;

/** One random case of an op. */
export interface Case<Attributes> {
  inputs: Input[];
  attributes: Attributes;
}

/** A small seeded generator, so that a failing case can be run again. */
export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed >>> 0 || 1;
  }
  /** Uniform in [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let t = this.#state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }
  /** Integer from `low` to `high`, both included. */
  int(low: number, high: number): number {
    return low + Math.floor(this.next() * (high - low + 1));
  }
  pick<T>(choices: readonly T[]): T {
    return choices[this.int(0, choices.length - 1)] as T;
  }
  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next());
  }
}

/** `f32`, or `f16` in about half of the cases where the last axis allows packed halves. */
export function storage(random: Random, channels: number): "f32" | "f16" {
  return channels % 4 === 0 && random.next() < 0.5 ? "f16" : "f32";
}

// Every kernel sees 50 shapes in Node. Chromium compiles with the same Dawn, many times over as each test file has a page of its
// own; there fewer show that the kernel compiles and runs in a browser, where accesses are bounds-checked.
const defaultCount = inNode ? 50 : 12;

/** How variants are run that this device cannot run as they are. */
export interface Emulation {
  /** Instead of the device's. */
  readonly traits: (of: DeviceTraits) => DeviceTraits;
  readonly launch: (launch: Launch) => Launch;
}

const asItIs: Emulation = { traits: (of) => of, launch: (launch) => launch };

/**
 * Tests every variant on `count` random cases each. A variant that is unfit on this device for every case is reported by name.
 * `tolerance` is relative L2 for f32 results; f16 results get 2e-3. `only`: variants whose name matches.
 */
export function testOp<Attributes>(
  op: Op<Attributes>,
  randomCase: (random: Random) => Case<Attributes>,
  {
    count = defaultCount,
    tolerance = 1e-5,
    only = /./,
    emulation = asItIs,
  }: { count?: number; tolerance?: number; only?: RegExp; emulation?: Emulation } = {},
): void {
  describe(op.name, () => {
    for (const variant of op.variants.filter(({ name }) => only.test(name)))
      it(`${variant.name} agrees with the reference on ${count} random shapes`, async (context) => {
        const gpu = await testGpu();
        const random = new Random(hash(variant.name));
        let reason = "";
        let run = 0;
        for (let attempt = 0; run < count && attempt < count * 40; attempt++) {
          const { inputs, attributes } = randomCase(random);
          const types = inputs.map((input) => input?.type ?? null);
          const output = op.infer(types, attributes);
          const unfit = variant.unfit?.(emulation.traits(gpu.traits), types, output, attributes);
          if (unfit) {
            reason = unfit;
            continue;
          }
          await checkCase(gpu, op, variant, inputs, attributes, random, tolerance, emulation);
          run++;
        }
        if (run === 0) context.skip(`${variant.name} cannot run here: ${reason}`);
        expect(run, `cases that fit; otherwise: ${reason}`).toBe(count);
      });
  });
}

/** Runs one case on the GPU and asserts that it agrees with the reference. */
export async function checkCase<Attributes>(
  gpu: Gpu,
  op: Op<Attributes>,
  variant: Variant<Attributes>,
  inputs: readonly Input[],
  attributes: Attributes,
  random: Random,
  tolerance: number,
  emulation = asItIs,
): Promise<void> {
  const filled = inputs.map(
    (input) => input && { type: input.type, data: rounded(input.data ?? values(input.type, random), input.type) },
  );
  const types: Operands = filled.map((input) => input?.type ?? null);
  const output = op.infer(types, attributes);
  const launch = variant.launch(types, output, attributes, emulation.traits(gpu.traits));
  const result = await execute(gpu, emulation.launch(launch), filled, output);
  const reference = op.reference(
    filled.map((input) => input && { shape: input.type.shape, data: input.data }),
    output,
    attributes,
  );
  const error = relativeError(result, reference);
  const limit = output.dtype === "f16" ? Math.max(tolerance, 2e-3) : tolerance;
  if (!(error <= limit))
    expect.fail(
      `${variant.name}: relative L2 error ${error.toExponential(2)} > ${limit} for ${JSON.stringify(types)} -> ${JSON.stringify(output)} with ${JSON.stringify(attributes)}`,
    );
}

/** Relative L2 error ||got - expected|| / ||expected||; the plain norm when nothing is expected but zeros. */
export function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  expect(got.length).toBe(expected.length);
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (got[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(norm > 0 ? difference / norm : difference);
}

/** One dispatch with fresh buffers; returns the output's values. */
export async function execute(
  gpu: Gpu,
  { kernel, workgroups, parameters = [] }: Launch,
  inputs: readonly ({ type: TensorType; data: Float64Array } | null)[],
  output: TensorType,
): Promise<Float64Array> {
  const { pipeline, layout } = await gpu.compile(kernel);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const buffers = inputs.map((input, i) => {
    if (!input || input.data.length === 0) return undefined;
    const bytes = encode(input.data, input.type);
    const buffer = gpu.allocate(`input ${i}`, bytes.byteLength, usage);
    gpu.device.queue.writeBuffer(buffer, 0, bytes);
    return { buffer, size: bytes.byteLength };
  });
  const bytes = encode(new Float64Array(sizeOf(output)), output).byteLength;
  const target = gpu.allocate("output", bytes, usage);
  const absent = gpu.allocate("absent operand", 16, GPUBufferUsage.STORAGE);
  // A kernel may have more operands than this use of it: what is missing is bound to a dummy.
  const operands = Array.from(
    { length: kernel.bindings.length - 1 },
    (_, i) => buffers[i] ?? { buffer: absent, size: 16 },
  );
  const entries = [...operands, { buffer: target, size: bytes }];
  const uniform = gpu.allocate("parameters", parameterBytes(kernel), GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  gpu.device.queue.writeBuffer(uniform, 0, Uint32Array.from(parameters));
  if (kernel.parameters) entries.push({ buffer: uniform, size: parameterBytes(kernel) });
  const group = gpu.device.createBindGroup({
    layout,
    entries: entries.map(({ buffer, size }, binding) => ({ binding, resource: { buffer, size: Math.max(4, size) } })),
  });
  const encoder = gpu.device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  pass.dispatchWorkgroups(...workgroups);
  pass.end();
  gpu.device.queue.submit([encoder.finish()]);
  const result = decode(await gpu.read(target, 0, bytes), output);
  for (const b of buffers) if (b) gpu.release(b.buffer);
  gpu.release(target);
  gpu.release(uniform);
  gpu.release(absent);
  return result;
}

function values(type: TensorType, random: Random): Float64Array {
  return Float64Array.from({ length: sizeOf(type) }, () => (type.dtype === "u32" ? random.int(0, 7) : random.normal()));
}

// The reference sees what the GPU sees: values rounded to the operand's storage.
function rounded(data: Float64Array, { dtype, shape }: TensorType): Float64Array {
  if (dtype === "u32") return data;
  if (dtype === "q8") return q8Values(quantize(data, shape.at(-1)!));
  const singles = Float32Array.from(data);
  return Float64Array.from(dtype === "f16" ? float16ToFloat32(float32ToFloat16(singles)) : singles);
}

function encode(data: Float64Array, { dtype, shape }: TensorType): Uint8Array<ArrayBuffer> {
  if (dtype === "q8") return q8Bytes(quantize(data, shape.at(-1)!));
  const array =
    dtype === "u32"
      ? Uint32Array.from(data)
      : dtype === "f16"
        ? float32ToFloat16(Float32Array.from(data))
        : Float32Array.from(data);
  const bytes = new Uint8Array(Math.ceil(array.byteLength / 4) * 4);
  bytes.set(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
  return bytes;
}

function decode(buffer: ArrayBuffer, type: TensorType): Float64Array {
  const count = sizeOf(type);
  if (type.dtype === "u32") return Float64Array.from(new Uint32Array(buffer, 0, count));
  if (type.dtype === "f16") return Float64Array.from(float16ToFloat32(new Uint16Array(buffer, 0, count)));
  return Float64Array.from(new Float32Array(buffer, 0, count));
}

function hash(text: string): number {
  let h = 2166136261;
  for (const c of text) h = Math.imul(h ^ c.charCodeAt(0), 16777619);
  return h;
}
