// What the device can do at most, measured: multiply-adds, matrices, copies; and what dispatches, submits and readbacks cost.
import type { Gpu } from "../../src/gpu/gpu.ts";
import { floatBits, type Kernel } from "../../src/gpu/kernel.ts";
import { grid1d, type TensorType } from "../../src/ops/op.ts";
import { type Clock, type Encode, findClock, roundTrip, type Sampling, sample } from "./clock.ts";
import copy from "./copy.wgsl";
import { prepare, releaseAll, storedNormals, upload } from "./dispatch.ts";
import fmaF16 from "./fma.f16.wgsl";
import fmaF32 from "./fma.f32.wgsl";
import matrix from "./matrix.wgsl";
import { type Cell, type Measurement, middleHalf, type Section } from "./report.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import tiny from "./tiny.wgsl";

/** A rate and the kernel that reached it. */
export interface Peak {
  /** Operations or bytes a second. */
  readonly rate: Spread;
  readonly how: string;
}

/** A copy of some size. */
export interface Bandwidth {
  /** Read and written together. */
  readonly bytes: number;
  /** Bytes a second, read and written. */
  readonly rate: Spread;
}

/** What was measured; peaks are absent where the device has no such units. */
export interface Ceilings {
  readonly clock: Clock;
  readonly f32: Peak;
  readonly f16: Peak | undefined;
  readonly matrix: readonly Peak[];
  /** From small to large. */
  readonly copies: readonly Bandwidth[];
  /** Microseconds that one more dispatch in a pass takes. */
  readonly dispatchUs: Spread;
  /** Microseconds of the caller's time that a submit takes. */
  readonly submitUs: Spread;
  /** Milliseconds from a submit to knowing that it is done. */
  readonly roundTripMs: number;
  /** Milliseconds to read four bytes. */
  readonly readbackMs: Spread;
  /** Bytes a second of a large readback. */
  readonly readback: Spread;
}

/** Chains of vec4 a thread: more hide latency, until the registers run out. */
const chainCounts = [2, 3, 4, 8];

/** Measures all ceilings. */
export async function measureCeilings(gpu: Gpu, sampling: Sampling, say: (line: string) => void): Promise<Ceilings> {
  const clock = await chooseClock(gpu);
  say(`timing by ${clock.kind}: ${clock.why}`);
  const f32 = await bestPeak(gpu, clock, sampling, "f32");
  const f16 = gpu.traits.shaderF16 ? await bestPeak(gpu, clock, sampling, "f16") : undefined;
  return {
    clock,
    f32,
    f16,
    matrix: await matrixPeaks(gpu, clock, sampling),
    copies: await copies(gpu, clock, sampling),
    dispatchUs: await dispatchCost(gpu, sampling),
    submitUs: await submitCost(gpu, sampling),
    roundTripMs: await roundTrip(gpu),
    ...(await readbacks(gpu, sampling)),
  };
}

/** Bytes a second that a copy of about so many bytes reaches: small ones stay in caches. */
export function bandwidthFor({ copies }: Ceilings, bytes: number): number {
  const distance = (copy: Bandwidth) => Math.abs(Math.log(copy.bytes / Math.max(bytes, 1)));
  return copies.toSorted((a, b) => distance(a) - distance(b))[0]!.rate.median;
}

/** The clock by which this device is timed. */
async function chooseClock(gpu: Gpu): Promise<Clock> {
  const work = await fma(gpu, "f32", 4, false);
  try {
    const rough: Clock = { kind: "wall", why: "", submitMs: await roundTrip(gpu) };
    const { least } = await sample(gpu, rough, work.run(64).encode, { repeats: 3, budget: 200 });
    return await findClock(gpu, work.run(Math.max(64, Math.ceil((64 * 20) / least))).encode);
  } finally {
    work.dispose();
  }
}

/** A kernel that multiplies and adds as long as it is told to. */
interface Work {
  /** What to encode for so many rounds, and how many operations that is. */
  run(rounds: number): { encode: Encode; operations: number };
  dispose(): void;
}

async function fma(gpu: Gpu, type: "f32" | "f16", chains: number, fused: boolean): Promise<Work> {
  const threads = gpu.traits.software ? 64 : 256;
  const groups = gpu.traits.software ? 64 : 2048;
  const kernel: Kernel = {
    name: `fma.${type}`,
    code: type === "f32" ? fmaF32 : fmaF16,
    bindings: ["write"],
    ...(type === "f16" && { enable: ["f16"] }),
    parameters: ["ROUNDS", "FACTOR", "TERM"],
    constants: { CHAINS: chains, THREADS: threads, FUSED: fused },
  };
  const links = 4 * chains * 4 * 2;
  // Values wander towards 1 and stay normal numbers.
  const parameters = [floatBits(0.75), floatBits(0.25)];
  return loop(gpu, kernel, groups, threads * groups, parameters, links * threads * groups);
}

/** A kernel with ROUNDS as its first parameter, bound once for each number of rounds asked for. */
async function loop(
  gpu: Gpu,
  kernel: Kernel,
  groups: number,
  results: number,
  parameters: readonly number[],
  operationsARound: number,
): Promise<Work> {
  const output: TensorType = { shape: [results], dtype: "f32" };
  const { pipeline, layout } = await gpu.compile(kernel);
  const result = gpu.allocate("result", results * 4, GPUBufferUsage.STORAGE);
  const uniforms: GPUBuffer[] = [];
  return {
    run(rounds) {
      const values = new Uint32Array(4);
      values.set([rounds, ...parameters]);
      const uniform = gpu.allocate("parameters", 16, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
      uniforms.push(uniform);
      gpu.device.queue.writeBuffer(uniform, 0, values);
      const entries = [{ buffer: result, size: output.shape[0]! * 4 }, { buffer: uniform }];
      const group = gpu.device.createBindGroup({
        layout,
        entries: entries.map((resource, binding) => ({ binding, resource })),
      });
      return {
        operations: operationsARound * rounds,
        encode(pass) {
          pass.setPipeline(pipeline);
          pass.setBindGroup(0, group);
          pass.dispatchWorkgroups(groups);
        },
      };
    },
    dispose: () => {
      for (const buffer of [result, ...uniforms]) gpu.release(buffer);
    },
  };
}

/** Operations a second over dispatches of some 20 ms. */
async function rateOf(gpu: Gpu, clock: Clock, work: Work, sampling: Sampling): Promise<Spread> {
  const few = 16;
  const { least } = await sample(gpu, clock, work.run(few).encode, { repeats: 3, budget: 100 });
  const { encode, operations } = work.run(Math.max(few, Math.ceil((few * 20) / least)));
  return rates(await sample(gpu, clock, encode, sampling), operations);
}

/** Times of one run as rates of `amount` a run. */
export function rates(ms: Spread, amount: number): Spread {
  const rate = (time: number) => amount / (time / 1e3);
  return { median: rate(ms.median), low: rate(ms.high), high: rate(ms.low), least: rate(ms.least), count: ms.count };
}

async function bestPeak(gpu: Gpu, clock: Clock, sampling: Sampling, type: "f32" | "f16"): Promise<Peak> {
  const peaks: Peak[] = [];
  for (const chains of chainCounts)
    for (const fused of [false, true]) {
      const work = await fma(gpu, type, chains, fused);
      // Emulated fused multiply-adds are slow beyond measure.
      const rate = await rateOf(gpu, clock, work, { ...sampling, budget: Math.min(sampling.budget, 500) });
      peaks.push({ rate, how: `${chains} chains of vec4, ${fused ? "fma()" : "* and +"}` });
      work.dispose();
    }
  return peaks.sort((a, b) => b.rate.median - a.rate.median)[0]!;
}

/** A shape of matrices that subgroups multiply, as an adapter names it. */
export interface MatrixShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  readonly componentType: string;
  readonly resultComponentType: string;
}

/** Kernel of a shape's peak. */
export function matrixKernel({ M, N, K, componentType, resultComponentType }: MatrixShape, lanes: number): Kernel {
  return {
    name: `matrix.${M}x${N}x${K}`,
    code: `alias Operand = ${componentType};\nalias Sum = ${resultComponentType};\n${matrix}`,
    bindings: ["write"],
    enable: ["f16", "subgroups", "chromium_experimental_subgroup_matrix"],
    parameters: ["ROUNDS"],
    constants: { M, N, K, LANES: lanes },
  };
}

async function matrixPeaks(gpu: Gpu, clock: Clock, sampling: Sampling): Promise<Peak[]> {
  const shapes = (gpu.info as { subgroupMatrixConfigs?: Iterable<MatrixShape> }).subgroupMatrixConfigs;
  const lanes = gpu.info.subgroupMaxSize ?? 0;
  if (!gpu.traits.subgroupMatrix || !gpu.traits.shaderF16 || !shapes || !lanes) return [];
  const peaks: Peak[] = [];
  for (const { M, N, K, componentType, resultComponentType } of shapes) {
    // Integers are of no use to the model.
    if (!componentType.startsWith("f")) continue;
    const groups = 8192;
    const kernel = matrixKernel({ M, N, K, componentType, resultComponentType }, lanes);
    const results = groups * 4 * M * N;
    const work = await loop(gpu, kernel, groups, results, [], groups * 4 * 2 * M * N * K);
    const rate = await rateOf(gpu, clock, work, sampling);
    peaks.push({ rate, how: `${M}x${N}x${K} ${componentType} -> ${resultComponentType}` });
    work.dispose();
  }
  return peaks.sort((a, b) => b.rate.median - a.rate.median);
}

/** Few long threads suit processors, many short ones GPUs; the best counts. */
const copyForms = [
  { each: 1, contiguous: false },
  { each: 8, contiguous: false },
  { each: 16, contiguous: true },
];

async function copies(gpu: Gpu, clock: Clock, sampling: Sampling): Promise<Bandwidth[]> {
  const { maxStorageBufferBindingSize, maxBufferSize } = gpu.traits.limits;
  const largest = Math.min(gpu.traits.software ? 2 ** 26 : 2 ** 29, maxStorageBufferBindingSize, maxBufferSize);
  const found: Bandwidth[] = [];
  for (let bytes = 2 ** 14; bytes <= largest; bytes *= 8) {
    const type: TensorType = { shape: [bytes / 4], dtype: "f32" };
    const operands = upload(gpu, [storedNormals(type, 1)]);
    let best: Spread | undefined;
    for (const { each, contiguous } of copyForms) {
      const kernel: Kernel = {
        name: "copy",
        code: copy,
        bindings: ["read", "write"],
        constants: { THREADS: 64, EACH: each, CONTIGUOUS: contiguous },
      };
      const workgroups = grid1d(bytes / 16 / each, 64);
      const prepared = await prepare(gpu, { kernel, workgroups }, operands, [type], type);
      const rate = rates(await sample(gpu, clock, prepared.encode, sampling), 2 * bytes);
      prepared.dispose();
      if (!best || rate.median > best.median) best = rate;
    }
    found.push({ bytes: 2 * bytes, rate: best! });
    releaseAll(gpu, operands);
  }
  return found;
}

/** By the wall clock, as what a pass costs is not on the device's: the difference that a thousand more dispatches make. */
async function dispatchCost(gpu: Gpu, { repeats }: Sampling): Promise<Spread> {
  const type: TensorType = { shape: [1], dtype: "u32" };
  const kernel: Kernel = { name: "tiny", code: tiny, bindings: ["write"] };
  const prepared = await prepare(gpu, { kernel, workgroups: [1, 1, 1] }, [], [], type);
  const time = async (count: number) => {
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    for (let i = 0; i < count; i++) prepared.encode(pass);
    pass.end();
    const commands = encoder.finish();
    const start = performance.now();
    gpu.device.queue.submit([commands]);
    await gpu.idle();
    return performance.now() - start;
  };
  await time(1100);
  const costs: number[] = [];
  for (let i = 0; i < Math.max(repeats, 5); i++) costs.push((await time(1100)) - (await time(100)));
  prepared.dispose();
  return spreadOf(costs);
}

async function submitCost(gpu: Gpu, { repeats }: Sampling): Promise<Spread> {
  const costs: number[] = [];
  for (let i = 0; i < Math.max(repeats, 5); i++) {
    const buffers = Array.from({ length: 50 }, () => gpu.device.createCommandEncoder().finish());
    const start = performance.now();
    for (const buffer of buffers) gpu.device.queue.submit([buffer]);
    costs.push(((performance.now() - start) / buffers.length) * 1e3);
    await gpu.idle();
  }
  return spreadOf(costs);
}

async function readbacks(gpu: Gpu, { repeats }: Sampling): Promise<{ readbackMs: Spread; readback: Spread }> {
  const bytes = gpu.traits.software ? 2 ** 24 : 2 ** 27;
  const buffer = gpu.allocate("readback source", bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  const time = async (size: number) => {
    const start = performance.now();
    await gpu.read(buffer, 0, size);
    return performance.now() - start;
  };
  await time(bytes);
  const [small, large]: [number[], number[]] = [[], []];
  for (let i = 0; i < Math.max(repeats, 5); i++) {
    small.push(await time(4));
    large.push(await time(bytes));
  }
  gpu.release(buffer);
  return { readbackMs: spreadOf(small), readback: rates(spreadOf(large), bytes) };
}

/** The ceilings as a family's findings. */
export function ceilingsSection(ceilings: Ceilings): Section {
  const rows: Cell[][] = [];
  const measurements: Measurement[] = [];
  const add = (name: string, spread: Spread, unit: string, better: "less" | "more", how: string) => {
    rows.push([name, spread.median, unit, middleHalf(spread), how]);
    measurements.push({ name, unit, better, ...spread });
  };
  const scaled = (spread: Spread, by: number): Spread => ({
    median: spread.median / by,
    low: spread.low / by,
    high: spread.high / by,
    least: spread.least / by,
    count: spread.count,
  });
  add("f32 multiply-add", scaled(ceilings.f32.rate, 1e9), "GFLOP/s", "more", ceilings.f32.how);
  if (ceilings.f16) add("f16 multiply-add", scaled(ceilings.f16.rate, 1e9), "GFLOP/s", "more", ceilings.f16.how);
  for (const { rate, how } of ceilings.matrix)
    add(`matrix ${how}`, scaled(rate, 1e9), "GFLOP/s", "more", "subgroup matrices");
  for (const { bytes, rate } of ceilings.copies)
    add(`copy ${sizeName(bytes / 2)}`, scaled(rate, 1e9), "GB/s", "more", "read and written, warm");
  add("dispatch", ceilings.dispatchUs, "us", "less", "one more in a pass, each depending on the last");
  add("submit", ceilings.submitUs, "us", "less", "of the caller's time");
  add("readback", ceilings.readbackMs, "ms", "less", "of 4 bytes");
  add("readback rate", scaled(ceilings.readback, 1e9), "GB/s", "more", "of a large buffer, one more copy on the CPU");
  const missing = [
    ...(ceilings.f16 ? [] : ["f16 arithmetic: not here"]),
    ...(ceilings.matrix.length ? [] : ["subgroup matrices: not here"]),
  ];
  return {
    title: "Ceilings: what this adapter can do at most",
    tables: [{ columns: ["what", "median", "unit", "middle half", "how"], rows }],
    notes: [
      `Timed by ${ceilings.clock.kind}: ${ceilings.clock.why}. A submit is known to be done after ${ceilings.roundTripMs.toFixed(3)} ms.`,
      ...(missing.length ? [`${missing.join("; ")}.`] : []),
    ],
    measurements,
  };
}

/** `16 kB`, in powers of two. */
function sizeName(bytes: number): string {
  return bytes >= 2 ** 20 ? `${bytes / 2 ** 20} MiB` : `${bytes / 2 ** 10} KiB`;
}
