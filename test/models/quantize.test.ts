// Weights that were brought to 8 bits ahead: on the device they are, byte for byte, as they were written, which is what it would have made of the whole ones.
import { describe, expect, it } from "vitest";
import { weightKey } from "../../src/graph/executor.ts";
import { GraphBuilder, type Value, type WeightLayout } from "../../src/graph/graph.ts";
import { bytesOfType } from "../../src/graph/plan.ts";
import { float16ToFloat32 } from "../../src/io/float16.ts";
import { quantization, scaleName } from "../../src/io/quantized.ts";
import { openSafetensors, type Safetensors, type TensorBytes, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { quantizeRows } from "../../src/models/quantize.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { testGpu } from "../gpu.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { repack } from "./repack.ts";

interface Case {
  readonly layout: WeightLayout;
  readonly shape: readonly number[];
  /** Tensors joined into one. */
  readonly parts: number;
}

const cases: Case[] = [
  { layout: "linear", shape: [8, 64], parts: 1 },
  { layout: "linear", shape: [12, 100], parts: 3 },
  { layout: "linear", shape: [4, 4], parts: 1 },
  { layout: "conv", shape: [8, 32, 1, 1], parts: 1 },
  { layout: "conv", shape: [12, 20, 3, 3], parts: 1 },
  // More than a piece: of the whole values, and of the codes.
  { layout: "conv", shape: [520, 516, 3, 3], parts: 1 },
  { layout: "linear", shape: [2056, 4092], parts: 1 },
];

type Tensors = ReadonlyMap<string, Float32Array<ArrayBuffer>>;

/** Values of uneven size, some of them far out of any half's range, some too small for it. */
function valuesOf(random: Random, count: number): Float32Array<ArrayBuffer> {
  const values = Float32Array.from(
    { length: count },
    (_, i) => (random.next() - 0.5) * 2 ** ((Math.floor(i / 7) % 9) - 6),
  );
  values.set([1e6, -3e-6, 2e-8, 0], 1);
  values.fill(0, 4, 40);
  return values;
}

const open = (tensors: readonly TensorBytes[], metadata: Record<string, string> = {}) =>
  openSafetensors(bytesSource("weights", writeSafetensors(tensors, metadata)));

const whole = (tensors: Tensors, shape: readonly number[]) =>
  open([...tensors].map(([name, values]) => ({ name, dtype: "F32", shape, bytes: new Uint8Array(values.buffer) })));

function inBits(tensors: Tensors, shape: readonly number[]): TensorBytes[] {
  const taps = shape.slice(2).reduce((product, extent) => product * extent, 1);
  return [...tensors].flatMap(([name, values]): TensorBytes[] => {
    const { codes, scales } = quantizeRows(values, shape[1]!, taps);
    const blocks = scales.length / shape[0]!;
    return [
      { name, dtype: "I8", shape, bytes: new Uint8Array(codes.buffer) },
      { name: scaleName(name), dtype: "F16", shape: [shape[0]!, blocks], bytes: new Uint8Array(scales.buffer) },
    ];
  });
}

const version = { [quantization.key]: quantization.version };

/** What lies on the device. */
async function loaded(checkpoint: Safetensors, weights: readonly Value[]): Promise<Uint8Array> {
  const gpu = await testGpu();
  const buffers = await loadWeights(gpu, checkpoint, weights);
  const [value] = weights;
  const bytes = await gpu.read(buffers.get(weightKey(value!))!, 0, bytesOfType(value!.type));
  for (const buffer of buffers.values()) gpu.release(buffer);
  return new Uint8Array(bytes);
}

function reading({ layout, shape, parts }: Case, storage: "f32" | "f16" | "q8"): Value[] {
  const g = new GraphBuilder("f32", storage);
  const weight = g.weight(
    Array.from({ length: parts }, (_, i) => `part ${i}`),
    shape,
    layout,
  );
  return [weight];
}

/** Codes and scales as they should lie on the device: outputs side by side, behind the codes the scales. */
function laidOut(tensors: Tensors, { shape, layout, parts }: Case): { codes: Int8Array; scales: Uint16Array } {
  const taps = shape.slice(2).reduce((product, extent) => product * extent, 1);
  const quantized = [...tensors.values()].map((values) => quantizeRows(values, shape[1]!, taps));
  const joined = Float32Array.from(quantized.flatMap(({ codes }) => [...codes]));
  const outputs = shape[0]! * parts;
  const scales = Uint16Array.from(quantized.flatMap(({ scales }) => [...scales]));
  const blocks = scales.length / outputs;
  return {
    codes: Int8Array.from(repack(joined, [outputs, ...shape.slice(1)], layout)),
    scales: scales.map((_, i) => scales[(i % outputs) * blocks + Math.floor(i / outputs)]!),
  };
}

/** What a device's bytes mean. */
function parse(bytes: Uint8Array, count: number): { codes: Int8Array; scales: Uint16Array } {
  return { codes: new Int8Array(bytes.slice(0, count).buffer), scales: new Uint16Array(bytes.slice(count).buffer) };
}

/** Share of values that may. */
const inTheMiddle = 2e-3;

function firstDifference(actual: ArrayLike<number>, expected: ArrayLike<number>): string | undefined {
  if (actual.length !== expected.length) return `${actual.length} values for ${expected.length}`;
  for (let i = 0; i < actual.length; i++)
    if (actual[i] !== expected[i]) return `${actual[i]} for ${expected[i]} at ${i} of ${actual.length}`;
  return undefined;
}

describe.each(cases)("$layout $shape x $parts", (each) => {
  const { shape, parts } = each;
  const random = new Random(shape[0]! + shape[1]!);
  const size = shape.reduce((product, extent) => product * extent, 1);
  const tensors: Tensors = new Map(Array.from({ length: parts }, (_, i) => [`part ${i}`, valuesOf(random, size)]));

  it("is on the device as it was written, and as the device would have made it itself", async () => {
    const weights = reading(each, "q8");
    const written = laidOut(tensors, each);
    const bytes = await loaded(await open(inBits(tensors, shape), version), weights);
    const brought = parse(bytes, written.codes.length);
    expect(firstDifference(brought.codes, written.codes)).toBeUndefined();
    expect(firstDifference(brought.scales, written.scales)).toBeUndefined();
    const own = parse(await loaded(await whole(tensors, shape), weights), written.codes.length);
    expect(firstDifference(own.scales, brought.scales)).toBeUndefined();
    // Where a value lies in the middle between two codes, adapters differ.
    const apart = own.codes.map((code, i) => Math.abs(code - brought.codes[i]!));
    expect(apart.reduce((most, each) => Math.max(most, each), 0)).toBeLessThanOrEqual(1);
    expect(apart.reduce((sum, each) => sum + each, 0) / apart.length).toBeLessThan(inTheMiddle * (size < 1e4 ? 5 : 1));
  });

  // The large ones take a while.
  it.each(size < 1e6 ? (["f32", "f16"] as const) : (["f16"] as const))(
    "becomes what its codes stand for in %s",
    async (storage) => {
      const back: Tensors = new Map([...tensors].map(([name, values]) => [name, meant(values, shape)]));
      const got = await loaded(await open(inBits(tensors, shape), version), reading(each, storage));
      const expected = await loaded(await whole(back, shape), reading(each, storage));
      expect(relativeError(valuesIn(got, storage), valuesIn(expected, storage))).toBeLessThan(1e-6);
    },
  );
});

/** The values that the codes stand for, by their definition. */
function meant(values: Float32Array, shape: readonly number[]): Float32Array<ArrayBuffer> {
  const taps = shape.slice(2).reduce((product, extent) => product * extent, 1);
  const stride = shape[1]! * taps;
  const { codes, scales } = quantizeRows(values, shape[1]!, taps);
  const units = float16ToFloat32(scales);
  const blocks = units.length / shape[0]!;
  return Float32Array.from(codes, (code, i) => {
    const column = i % stride;
    const place = (column % taps) * shape[1]! + Math.floor(column / taps);
    return (code / 127) * units[Math.floor(i / stride) * blocks + Math.floor(place / 32)]!;
  });
}

const valuesIn = (bytes: Uint8Array, storage: "f32" | "f16") =>
  storage === "f32"
    ? new Float32Array(bytes.slice().buffer)
    : float16ToFloat32(new Uint16Array(bytes.slice().buffer)).map((v) =>
        Number.isFinite(v) ? v : Math.sign(v) * 65504,
      );

describe("8-bit tensors that are not of the form are refused:", () => {
  const shape = [8, 64];
  const tensors: Tensors = new Map([["part 0", valuesOf(new Random(1), 512)]]);
  const weights = reading({ layout: "linear", shape, parts: 1 }, "q8");
  const refuse = async (checkpoint: Promise<Safetensors>, code: string, sentence: string) =>
    expect(loadWeights(await testGpu(), await checkpoint, weights)).rejects.toMatchObject({ code, message: sentence });
  const is = "weights: tensor part 0 should be F32, F16 or BF16, got I8";

  it("of another tool, or of a later version", async () => {
    await refuse(open(inBits(tensors, shape)), "dtype", is);
    const later = open(inBits(tensors, shape), { [quantization.key]: "2" });
    await refuse(later, "dtype", is);
  });

  it("without scales, or with those of another shape", async () => {
    const [codes, scales] = inBits(tensors, shape);
    await refuse(open([codes!], version), "dtype", is);
    const turned = open([codes!, { ...scales!, shape: [2, 8] }], version);
    await refuse(turned, "dtype", is);
  });

  it("with a scale that is no number", async () => {
    const [codes, scales] = inBits(tensors, shape);
    const bytes = scales!.bytes.slice();
    bytes.set([0, 0x7e], 6);
    const broken = open([codes!, { ...scales!, bytes }], version);
    await refuse(broken, "not-finite", "weights: tensor part 0.scale has NaN at element 3");
  });
});
