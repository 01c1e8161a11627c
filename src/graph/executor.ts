// Runs a plan: buffers and bind groups are made once, then each stage is replayed as one compute pass in one submit.
import { ReimagenError } from "../errors.ts";
import type { CompiledKernel, Gpu } from "../gpu/gpu.ts";
import { parameterBytes } from "../gpu/kernel.ts";
import { float16ToFloat32 } from "../io/float16.ts";
import { type Launch, showShape, sizeOf } from "../ops/op.ts";
import type { Plan, PlannedNode } from "./compile.ts";
import { type Node, type Run, runs, type Value } from "./graph.ts";
import { bytesOfType } from "./plan.ts";

/** A range of a buffer that holds a tensor. */
export interface BufferRange {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly size: number;
}

/** What a caller may write into an input. */
export type TensorData = Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>;

/** A kernel with its operands, ready to run. */
export interface Dispatch {
  readonly pipeline: GPUComputePipeline;
  readonly group: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

/** Which dispatches of a stage to encode, and where to note the times of their pass. */
export interface Slice {
  readonly from?: number;
  readonly to?: number;
  readonly timestamps?: GPUComputePassTimestampWrites;
}

/** Options of `createExecutor`. */
export interface ExecutorOptions {
  /** Called as pipelines become ready. */
  readonly onProgress?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

// A function, as Node has these names only once Dawn is open.
const tensorUsage = () => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;

/** Buffer of each weight, by `weightKey`. */
export type WeightBuffers = ReadonlyMap<string, GPUBuffer>;

/** Begins to compile a plan's pipelines, while something else is read or drawn. */
export function compileAhead(gpu: Gpu, plan: Plan): void {
  gpu.compileAhead(dispatchesOf(plan).map(({ choice }) => choice.launch.kernel));
}

/** Compiles the plan's pipelines in parallel, allocates its memory and runs its load stage. `construct`: makes an executor of another kind. */
export async function createExecutor(
  gpu: Gpu,
  plan: Plan,
  weights: WeightBuffers,
  options: ExecutorOptions = {},
  construct: (...given: ConstructorParameters<typeof Executor>) => Executor = (...given) => new Executor(...given),
): Promise<Executor> {
  const dispatches = dispatchesOf(plan);
  let done = 0;
  const compiled = await Promise.all(
    dispatches.map(async (planned) => {
      const kernel = await gpu.compile(planned.choice.launch.kernel);
      if (options.signal?.aborted) throw new ReimagenError("aborted", "preparing the plan was aborted");
      options.onProgress?.(++done, dispatches.length);
      return [planned, kernel] as const;
    }),
  );
  const make = () => {
    const executor = construct(gpu, plan, weights, new Map(compiled));
    executor.run("load");
    return executor;
  };
  let executor: Executor | undefined;
  try {
    return await gpu.guarded(
      () => {
        executor = make();
        return executor;
      },
      (error) => new ReimagenError("kernel", `the plan does not run on this device: ${error.message}`),
    );
  } catch (error) {
    executor?.dispose();
    throw error;
  }
}

/** A plan on a device, ready to be replayed. */
export class Executor {
  readonly #gpu: Gpu;
  /** The device of its buffers: should `gpu` get another one, this executor falls silent with its own. */
  readonly #device: GPUDevice;
  readonly #owned: GPUBuffer[] = [];
  readonly #ranges = new Map<Value, BufferRange>();
  readonly #inputs = new Map<string, Value>();
  /** The inputs that each step has its own values of, side by side in one buffer. */
  readonly #stepInputs: BufferRange;
  readonly #dispatches: Readonly<Record<Run, readonly Dispatch[]>>;
  /** Bound where an optional operand is missing; never read, as the kernel is specialised or told. */
  readonly #absent: BufferRange;
  readonly #parameters: ReadonlyMap<PlannedNode, BufferRange>;
  readonly #states: { from: BufferRange; to: BufferRange }[];

  constructor(
    gpu: Gpu,
    readonly plan: Plan,
    weights: WeightBuffers,
    compiled: ReadonlyMap<PlannedNode, CompiledKernel>,
  ) {
    this.#gpu = gpu;
    this.#device = gpu.device;
    try {
      this.#stepInputs = this.#allocateStepInputs();
      this.#allocate(weights);
      this.#parameters = this.#writeParameters();
      this.#absent = { buffer: this.#own("absent operand", 16, GPUBufferUsage.STORAGE), offset: 0, size: 16 };
      const bound = new Map(
        dispatchesOf(plan).map((planned) => {
          const { node, choice } = planned;
          return [planned, this.bind(node, choice.launch, compiled.get(planned)!, this.#parameters.get(planned))];
        }),
      );
      const dispatches = runs.map((run) => [run, plan.schedule[run].map((planned) => bound.get(planned)!)]);
      this.#dispatches = Object.fromEntries(dispatches) as Record<Run, Dispatch[]>;
      this.#states = plan.graph.states.map(({ input, next }) => ({
        from: this.rangeOf(next),
        to: this.rangeOf(input),
      }));
    } catch (error) {
      this.dispose();
      throw error;
    }
  }

  /** Where the states lie, in the order of the graph's. */
  get states(): readonly BufferRange[] {
    return this.#states.map(({ to }) => to);
  }

  /** Writes an input by name. Throws `shape` when the length is wrong, `argument` when there is no such input in the plan. */
  write(name: string, data: TensorData): void {
    const { buffer, offset } = this.rangeOf(this.#input(name, data));
    this.#device.queue.writeBuffer(buffer, offset, data);
  }

  /** Whether the plan reads this input: passes may have found that nothing depends on it. */
  has(name: string): boolean {
    return this.#inputs.has(name);
  }

  /** Bytes of one `stepRow`. */
  get stepRowBytes(): number {
    return this.#stepInputs.size;
  }

  /** The values of one step's inputs as they lie in memory, for `takeStepRow`. Errors: those of `write`. */
  stepRow(inputs: ReadonlyMap<string, TensorData>): Uint8Array {
    const row = new Uint8Array(this.stepRowBytes);
    for (const [name, data] of inputs) {
      const { offset } = this.rangeOf(this.#input(name, data));
      row.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
    }
    return row;
  }

  /** Encodes that the step's inputs take their values from a row at `offset` of a buffer, so that a step needs nothing of the CPU. */
  takeStepRow(encoder: GPUCommandEncoder, rows: GPUBuffer, offset: number): void {
    const { buffer, size } = this.#stepInputs;
    if (size > 0) encoder.copyBufferToBuffer(rows, offset, buffer, 0, size);
  }

  /** Number of a run's dispatches. */
  count(run: Run): number {
    return this.#dispatches[run].length;
  }

  /** Encodes a run as one compute pass, or its dispatches `from` to (not with) `to`; after a step's last, states take on their next values. */
  encode(run: Run, encoder: GPUCommandEncoder, { from = 0, to = this.count(run), timestamps }: Slice = {}): void {
    const pass = encoder.beginComputePass({ label: run, ...(timestamps && { timestampWrites: timestamps }) });
    let current: GPUComputePipeline | undefined;
    for (const { pipeline, group, workgroups } of this.#dispatches[run].slice(from, to)) {
      if (pipeline !== current) pass.setPipeline(pipeline);
      current = pipeline;
      pass.setBindGroup(0, group);
      pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
    }
    pass.end();
    if (run === "load" || run === "request" || to < this.count(run)) return;
    for (const { from, to } of this.#states)
      encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
  }

  /** Encodes and submits one run. */
  run(run: Run): void {
    if (this.#dispatches[run].length === 0) return;
    const encoder = this.#device.createCommandEncoder({ label: run });
    this.encode(run, encoder);
    this.#device.queue.submit([encoder.finish()]);
  }

  /** Where an output or a state lives, for readers on the GPU. */
  range(name: string): BufferRange {
    return this.rangeOf(this.#named(name));
  }

  /** Where a tensor of the plan lives; that of an intermediate one is only its own between its first and last use. */
  rangeOf(value: Value): BufferRange {
    const range = this.#ranges.get(value);
    if (!range) throw new ReimagenError("argument", `value ${value.id} has no buffer in this plan`);
    return range;
  }

  /** A node's operands bound to a kernel for it; `output` where the result is not to go where the plan has it, as when kernels are compared. */
  bind(
    node: Node,
    { kernel, workgroups }: Launch,
    { pipeline, layout }: CompiledKernel,
    parameters: BufferRange | undefined,
    output: BufferRange = this.rangeOf(node.output),
  ): Dispatch {
    // A kernel may have more operands than this node: what is missing is bound to a dummy.
    const resources = kernel.bindings.slice(0, -1).map((_, i) => {
      const value = node.inputs[i];
      return value && sizeOf(value.type) > 0 ? this.rangeOf(value) : this.#absent;
    });
    const entries = [...resources, output, ...(parameters ? [parameters] : [])].map(
      ({ buffer, offset, size }, binding) => ({
        binding,
        resource: { buffer, offset, size: Math.ceil(size / 4) * 4 },
      }),
    );
    const group = this.#device.createBindGroup({ label: `${node.label} ${kernel.name}`, layout, entries });
    return { pipeline, group, workgroups };
  }

  /** Reads an output back as f32 (integers as they are). */
  async read(name: string): Promise<Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>> {
    const value = this.#named(name);
    const { buffer, offset, size } = this.rangeOf(value);
    const bytes = await this.#gpu.read(buffer, offset, size);
    if (value.type.dtype === "u32") return new Uint32Array(bytes);
    return value.type.dtype === "f16"
      ? (float16ToFloat32(new Uint16Array(bytes)) as Float32Array<ArrayBuffer>)
      : new Float32Array(bytes);
  }

  /** Frees all buffers of the plan; weights belong to the caller. */
  dispose(): void {
    for (const buffer of this.#owned.splice(0)) this.#gpu.release(buffer);
  }

  #allocateStepInputs(): BufferRange {
    const alignment = this.#device.limits.minStorageBufferOffsetAlignment;
    const states = new Set(this.plan.graph.states.map(({ input }) => input));
    const places: { value: Value; offset: number; size: number }[] = [];
    let end = 0;
    for (const value of this.plan.persistent) {
      const { source } = value;
      if (source.kind !== "input" || source.stage !== "step" || source.onDevice || states.has(value)) continue;
      const size = bytesOfType(value.type);
      places.push({ value, offset: end, size });
      end += Math.ceil(size / alignment) * alignment;
    }
    const buffer = this.#own("step inputs", end, tensorUsage());
    for (const { value, offset, size } of places) this.#ranges.set(value, { buffer, offset, size });
    return { buffer, offset: 0, size: end };
  }

  #allocate(weights: WeightBuffers): void {
    const { plan } = this;
    const usage = tensorUsage();
    const twice = new Set(plan.graph.instead.values());
    for (const value of plan.persistent) {
      if (value.source.kind === "input") this.#inputs.set(value.source.name, value);
      if (this.#ranges.has(value) || twice.has(value)) continue;
      const size = bytesOfType(value.type);
      const label = value.source.kind === "input" ? value.source.name : `value ${value.id}`;
      const buffer = this.#own(label, size, usage);
      this.#ranges.set(value, { buffer, offset: 0, size });
      if (value.source.kind === "constant") this.#device.queue.writeBuffer(buffer, 0, value.source.data as TensorData);
    }
    for (const [value, other] of plan.graph.instead) this.#ranges.set(other, this.rangeOf(value));
    const arenas = plan.memory.arenas.map((size, i) => this.#own(`arena ${i}`, size, usage));
    for (const [value, { arena, offset }] of plan.memory.places)
      this.#ranges.set(value, { buffer: arenas[arena]!, offset, size: bytesOfType(value.type) });
    for (const { node } of dispatchesOf(plan))
      for (const value of node.inputs)
        if (value?.source.kind === "weight") this.#ranges.set(value, weightRange(value, weights));
  }

  #own(label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const buffer = this.#gpu.allocate(label, size, usage);
    this.#owned.push(buffer);
    return buffer;
  }

  /** All uniforms of the plan in one buffer; equal ones share a place. */
  #writeParameters(): Map<PlannedNode, BufferRange> {
    const device = this.#device;
    const alignment = device.limits.minUniformBufferOffsetAlignment;
    const offsets = new Map<string, number>();
    const places: { planned: PlannedNode; values: Uint32Array<ArrayBuffer>; offset: number }[] = [];
    let end = 0;
    for (const planned of dispatchesOf(this.plan)) {
      const { kernel, parameters } = planned.choice.launch;
      if (!parameters) continue;
      const values = new Uint32Array(parameterBytes(kernel) / 4);
      values.set(parameters);
      const key = values.join();
      const offset = offsets.get(key) ?? end;
      if (offset === end) end += Math.ceil(values.byteLength / alignment) * alignment;
      offsets.set(key, offset);
      places.push({ planned, values, offset });
    }
    const buffer = this.#own("parameters", end, GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST);
    return new Map(
      places.map(({ planned, values, offset }) => {
        device.queue.writeBuffer(buffer, offset, values);
        return [planned, { buffer, offset, size: values.byteLength }];
      }),
    );
  }

  #input(name: string, data: TensorData): Value {
    const value = this.#inputs.get(name);
    if (!value)
      throw new ReimagenError(
        "argument",
        `the graph has no input ${name}; it has ${[...this.#inputs.keys()].join(", ")}`,
      );
    if (data.length !== sizeOf(value.type))
      throw new ReimagenError("shape", `input ${name} is ${showShape(value.type.shape)}, got ${data.length} values`);
    return value;
  }

  #named(name: string): Value {
    const value = this.plan.graph.outputs.get(name) ?? this.#inputs.get(name);
    if (!value)
      throw new ReimagenError(
        "argument",
        `the graph has no output ${name}; it has ${[...this.plan.graph.outputs.keys()].join(", ")}`,
      );
    return value;
  }
}

/** Every dispatch of a plan, once. */
function dispatchesOf({ schedule }: Plan): PlannedNode[] {
  return [...new Set(runs.flatMap((run) => schedule[run]))];
}

/** Identifies a weight as it lies in memory. */
export function weightKey(value: Value): string {
  if (value.source.kind !== "weight") throw new ReimagenError("argument", `value ${value.id} is not a weight`);
  const { names, layout } = value.source.weight;
  return `${names.join()} ${layout} ${value.type.dtype}`;
}

function weightRange(value: Value, weights: WeightBuffers): BufferRange {
  const buffer = weights.get(weightKey(value));
  if (!buffer) throw new ReimagenError("tensor", `weight ${weightKey(value)} has not been loaded`);
  return { buffer, offset: 0, size: bytesOfType(value.type) };
}
