// Measures every kernel that could run a node, on the operands that the node really has, and ranks those whose results are right.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { parameterBytes } from "../gpu/kernel.ts";
import { float16ToFloat32 } from "../io/float16.ts";
import type { Launch, TensorType } from "../ops/op.ts";
import { candidatesOf, choose } from "./choose.ts";
import type { PlannedNode } from "./compile.ts";
import { costOf } from "./cost.ts";
import type { BufferRange, Dispatch, Executor } from "./executor.ts";
import type { Run } from "./graph.ts";
import { bytesOfType } from "./plan.ts";
import { encodeRuns, race } from "./race.ts";
import { kindOf, type Tuned } from "./tuning.ts";

/** Options of tuning. */
export interface TuneOptions {
  /** Called as dispatches of a run are dealt with. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Relative L2 distance from the yardstick that still counts as right, by the result's storage. */
const tolerance = { f32: 1e-4, f16: 5e-3, u32: 0, q8: 0 };

/**
 * Arithmetic up to which the f64 reference is computed on a CPU thread, which takes about 0.1 s; beyond it the op's simple kernel is the
 * yardstick, except on software adapters, where that takes longer than all others together and is left out of the contest.
 */
const affordableFlops = 2e7;

/**
 * Executes a run dispatch by dispatch and, before each whose kind is not in `tuning` yet, every kernel that fits it into a buffer of its own; adds
 * what it finds. A result is right when it is that of the f64 reference, where that is affordable, else of the op's simple kernel, else of
 * the kernel that is chosen without measurement. Throws `aborted`, `kernel`, `limit`, `device-lost`; the run has then not come to its end.
 */
export async function tuneStage(
  gpu: Gpu,
  executor: Executor,
  run: Run,
  tuning: Map<string, Tuned>,
  { onProgress, signal }: TuneOptions = {},
): Promise<void> {
  const schedule = executor.plan.schedule[run];
  for (const [i, planned] of schedule.entries()) {
    if (signal?.aborted) throw new ReimagenError("aborted", "tuning was aborted");
    const kind = kindOf(planned.node);
    if (!tuning.has(kind) && candidatesOf(planned.node, gpu.traits).length > 1)
      tuning.set(kind, await contest(gpu, executor, planned));
    const encoder = gpu.device.createCommandEncoder({ label: "tune" });
    executor.encode(run, encoder, { from: i, to: i + 1 });
    gpu.device.queue.submit([encoder.finish()]);
    onProgress?.(i + 1, schedule.length);
  }
}

/** One kernel in the contest. */
interface Contestant {
  readonly variant: string;
  readonly dispatch: Dispatch;
}

async function contest(gpu: Gpu, executor: Executor, planned: PlannedNode): Promise<Tuned> {
  const { node } = planned;
  const bytes = bytesOfType(node.output.type);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const output: BufferRange = { buffer: gpu.allocate("tuned", bytes, usage), offset: 0, size: bytes };
  const uniforms: GPUBuffer[] = [];
  try {
    const contestants: Contestant[] = [];
    const large = gpu.traits.software && costOf(planned).flops > affordableFlops;
    for (const { variant, launch } of candidatesOf(node, gpu.traits)) {
      if (large && variant === simpleOf(node.op)) continue;
      const compiled = await gpu.compile(launch.kernel);
      const parameters = parametersOf(gpu, launch);
      if (parameters) uniforms.push(parameters.buffer);
      contestants.push({ variant, dispatch: executor.bind(node, launch, compiled, parameters, output) });
    }
    const right = await rightOnes(gpu, executor, planned, contestants, output);
    const usual = choose(node, gpu.traits).variant;
    const order = await race(
      gpu,
      right.map(({ dispatch }) => dispatch),
      right.findIndex(({ variant }) => variant === usual),
    );
    const ranking = order.map(({ index, milliseconds }) => ({ variant: right[index]!.variant, milliseconds }));
    return { ranking, wrong: contestants.filter((c) => !right.includes(c)).map(({ variant }) => variant) };
  } finally {
    gpu.release(output.buffer);
    for (const buffer of uniforms) gpu.release(buffer);
  }
}

function parametersOf(gpu: Gpu, { kernel, parameters }: Launch): BufferRange | undefined {
  if (!parameters) return undefined;
  const size = parameterBytes(kernel);
  const buffer = gpu.allocate("tuned", size, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
  const values = new Uint32Array(size / 4);
  values.set(parameters);
  gpu.device.queue.writeBuffer(buffer, 0, values);
  return { buffer, offset: 0, size };
}

async function rightOnes(
  gpu: Gpu,
  executor: Executor,
  planned: PlannedNode,
  contestants: readonly Contestant[],
  output: BufferRange,
): Promise<Contestant[]> {
  const { type } = planned.node.output;
  const results: Float64Array[] = [];
  for (const { dispatch } of contestants) {
    const encoder = gpu.device.createCommandEncoder({ label: "tune" });
    // What an earlier kernel left there must not pass for a result.
    encoder.clearBuffer(output.buffer);
    const pass = encoder.beginComputePass({ label: "tune" });
    encodeRuns(pass, dispatch, 1);
    pass.end();
    gpu.device.queue.submit([encoder.finish()]);
    results.push(await valuesOf(gpu, output, type));
  }
  // The reference takes weights as numbers, and 8-bit ones lie here as codes.
  const plain = planned.node.inputs.every((value) => value?.type.dtype !== "q8");
  const yardstick =
    plain && costOf(planned).flops <= affordableFlops
      ? await referenceOf(gpu, executor, planned)
      : results[standard(planned, contestants)]!;
  return contestants.filter((_, i) => distance(results[i]!, yardstick) <= tolerance[type.dtype]);
}

/** The contestant that the others are held to: the op's simple kernel, or the one chosen without measurement. */
function standard({ node, choice }: PlannedNode, contestants: readonly Contestant[]): number {
  const simple = contestants.findIndex(({ variant }) => variant === simpleOf(node.op));
  return simple >= 0
    ? simple
    : Math.max(
        0,
        contestants.findIndex(({ variant }) => variant === choice.variant),
      );
}

function simpleOf({ name }: { readonly name: string }): string {
  return `${name}.simple`;
}

async function referenceOf(gpu: Gpu, executor: Executor, { node }: PlannedNode): Promise<Float64Array> {
  const operands = [];
  for (const value of node.inputs)
    operands.push(value && { shape: value.type.shape, data: await valuesOf(gpu, executor.rangeOf(value), value.type) });
  return node.op.reference(operands, node.output.type, node.attributes);
}

async function valuesOf(gpu: Gpu, { buffer, offset, size }: BufferRange, { dtype }: TensorType): Promise<Float64Array> {
  const bytes = await gpu.read(buffer, offset, size);
  if (dtype === "f16") return Float64Array.from(float16ToFloat32(new Uint16Array(bytes)));
  return Float64Array.from(dtype === "u32" ? new Uint32Array(bytes) : new Float32Array(bytes));
}

// Not a number when something is not, which is within no tolerance.
function distance(got: Float64Array, expected: Float64Array): number {
  let [difference, norm] = [0, 0];
  expected.forEach((value, i) => {
    difference += (got[i]! - value) ** 2;
    norm += value ** 2;
  });
  return difference === 0 ? 0 : Math.sqrt(difference / norm);
}
