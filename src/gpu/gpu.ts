// The engine's hold on one GPU device: what it can do, the buffers and pipelines we made on it, and how to give them back.
import { ReimagenError } from "../errors.ts";
import { assemble, type BindingKind, type Kernel } from "./kernel.ts";
import { type DeviceTraits, traitsOf } from "./traits.ts";

/** A compiled kernel and the layout its bind groups follow. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Features that make something faster; asked for where the adapter has them. */
export const usefulFeatures: readonly GPUFeatureName[] = [
  "shader-f16",
  "subgroups",
  // Not of the standard yet, so that its types do not know it.
  "chromium-experimental-subgroup-matrix" as GPUFeatureName,
  "timestamp-query",
];

/** How a device of our own is found, and found again after it was lost: an adapter serves for one device only. */
export type RequestAdapter = () => Promise<GPUAdapter | null>;

/** As many as take a driver longest to compile. */
const longestKernels = 3;

/** A device and all that the engine made on it. */
interface Hold {
  readonly device: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly traits: DeviceTraits;
  readonly buffers: Map<GPUBuffer, number>;
  readonly layouts: Map<string, GPUBindGroupLayout>;
  readonly kernels: Map<string, Promise<CompiledKernel>>;
  allocated: number;
  /** Why the device is no more. */
  loss: ReimagenError | undefined;
  readonly lost: Promise<ReimagenError>;
}

/** How long a failed call waits to hear that the device is why: its promise may settle after the call's. */
const lossDelay = 500;

/** One device and all that the engine allocated on it; a device of our own can be had anew when it was lost. */
export class Gpu {
  readonly #requestAdapter: RequestAdapter | undefined;
  readonly #restored = new Set<(device: GPUDevice) => void>();
  #hold: Hold;
  #renewing: Promise<void> | undefined;
  #disposed = false;

  /** With `requestAdapter` the device is ours: it can be renewed, and dies with us. An adopted one is never destroyed. */
  constructor(device: GPUDevice, info: GPUAdapterInfo, requestAdapter?: RequestAdapter) {
    this.#requestAdapter = requestAdapter;
    this.#hold = holdOf(device, info);
  }

  get device(): GPUDevice {
    return this.#hold.device;
  }

  get info(): GPUAdapterInfo {
    return this.#hold.info;
  }

  get traits(): DeviceTraits {
    return this.#hold.traits;
  }

  /** Bytes of all live buffers that the engine made on this device. */
  get allocatedBytes(): number {
    return this.#hold.allocated;
  }

  /** Why the present device was lost (`device-lost`); undefined while it lives. */
  get loss(): ReimagenError | undefined {
    return this.#hold.loss;
  }

  /** Resolves when the present device is lost, with the `device-lost` error that says why. */
  get lost(): Promise<ReimagenError> {
    return this.#hold.lost;
  }

  /** Whether `renew` can replace a lost device. */
  get renewable(): boolean {
    return this.#requestAdapter !== undefined && !this.#disposed;
  }

  /** Calls back with each new device that replaced a lost one; returns how to stop that. */
  restored(callback: (device: GPUDevice) => void): () => void {
    this.#restored.add(callback);
    return () => this.#restored.delete(callback);
  }

  /** Replaces a lost device of our own by a new one, empty. Throws `device-lost` for an adopted device, `no-adapter` when none is to be had. */
  renew(): Promise<void> {
    this.#renewing ??= this.#renew().finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  async #renew(): Promise<void> {
    const { loss } = this.#hold;
    if (!loss) return;
    if (!this.#requestAdapter || this.#disposed) throw loss;
    const { device, info } = await requestDevice(this.#requestAdapter);
    this.#hold = holdOf(device, info);
    for (const callback of this.#restored) callback(device);
  }

  /** A zero-filled buffer of at least `bytes`. Throws `limit` when it exceeds what the device allows. */
  allocate(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const hold = this.#hold;
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const { maxBufferSize } = hold.device.limits;
    if (size > maxBufferSize)
      throw new ReimagenError(
        "limit",
        `${label} needs maxBufferSize of at least ${size}, but the device has ${maxBufferSize}`,
      );
    const buffer = hold.device.createBuffer({ label, size, usage });
    hold.buffers.set(buffer, size);
    hold.allocated += size;
    return buffer;
  }

  /** Frees a buffer made by `allocate`; a second call, or one after the device was lost, does nothing. */
  release(buffer: GPUBuffer): void {
    const hold = this.#hold;
    const size = hold.buffers.get(buffer);
    if (size === undefined) return;
    hold.buffers.delete(buffer);
    hold.allocated -= size;
    buffer.destroy();
  }

  /**
   * Runs `make`, which must not wait, so that the device's errors meanwhile come to us rather than to an app's handler: `describe` turns
   * one into ours. Throws what `make` and `describe` throw, and `limit` when memory runs out.
   */
  async guarded<T>(make: () => T, describe: (error: GPUError) => ReimagenError): Promise<T> {
    const { device } = this.#hold;
    device.pushErrorScope("out-of-memory");
    device.pushErrorScope("validation");
    let made: T;
    let scopes: Promise<(GPUError | null)[]>;
    try {
      made = make();
    } finally {
      scopes = Promise.all([device.popErrorScope(), device.popErrorScope()]).catch(() => []);
    }
    const [invalid, exhausted] = await scopes;
    if (exhausted)
      throw new ReimagenError(
        "limit",
        `the device has too little memory: ${exhausted.message || "an allocation failed"}`,
      );
    if (invalid) throw describe(invalid);
    return made;
  }

  /** Compiles a kernel, once; equal kernels share a pipeline. Throws `kernel` with the compiler's first complaint, and `device-lost`. */
  compile(kernel: Kernel): Promise<CompiledKernel> {
    const hold = this.#hold;
    const code = assemble(kernel);
    const key = `${kernel.bindings.join()}\n${code}`;
    let compiled = hold.kernels.get(key);
    if (!compiled) {
      compiled = whileAlive(hold, compile(hold, kernel, code));
      hold.kernels.set(key, compiled);
      compiled.catch(() => hold.kernels.delete(key));
    }
    return compiled;
  }

  /** Begins to compile kernels that will soon be needed, the longest first. What does not compile is told then. */
  compileAhead(kernels: readonly Kernel[]): void {
    const hold = this.#hold;
    const longestFirst = kernels.toSorted((a, b) => b.code.length - a.code.length);
    const compiling = [...new Map(longestFirst.map((kernel) => [this.compile(kernel), kernel]))];
    // The queue is at work on the longest while the others are created, which its work may hold up.
    for (const some of [compiling.slice(0, longestKernels), compiling.slice(longestKernels)])
      Promise.all(some.map(async ([compiled, kernel]) => [await compiled, kernel] as const))
        .then((ready) => hold.traits.software && !hold.loss && runOverNothing(hold, ready))
        .catch(() => undefined);
  }

  /** Waits until all submitted work is done. Throws `device-lost`. */
  idle(): Promise<void> {
    const hold = this.#hold;
    return whileAlive(
      hold,
      hold.device.queue.onSubmittedWorkDone().then(() => undefined),
    );
  }

  /** Copies `bytes` of a buffer back to the CPU. The buffer needs `COPY_SRC`. Throws `device-lost`. */
  async read(buffer: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    const hold = this.#hold;
    const staging = this.allocate("readback", bytes, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
    try {
      const encoder = hold.device.createCommandEncoder({ label: "readback" });
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, Math.ceil(bytes / 4) * 4);
      hold.device.queue.submit([encoder.finish()]);
      await whileAlive(hold, staging.mapAsync(GPUMapMode.READ));
      return staging.getMappedRange(0, Math.ceil(bytes / 8) * 8).slice(0, bytes);
    } finally {
      this.release(staging);
    }
  }

  /** Frees every buffer; destroys the device when it is ours. */
  dispose(): void {
    this.#disposed = true;
    this.#restored.clear();
    for (const buffer of [...this.#hold.buffers.keys()]) this.release(buffer);
    this.#hold.kernels.clear();
    if (this.#requestAdapter) this.#hold.device.destroy();
  }
}

function holdOf(device: GPUDevice, info: GPUAdapterInfo): Hold {
  const lost = device.lost.then(({ reason, message }) => {
    const why = [reason === "destroyed" ? "it was destroyed" : "", message].filter(Boolean).join(": ");
    hold.loss = new ReimagenError("device-lost", `the GPU device was lost: ${why || "no reason was given"}`);
    // Its buffers went with it.
    hold.buffers.clear();
    hold.allocated = 0;
    return hold.loss;
  });
  const hold: Hold = {
    device,
    info,
    traits: traitsOf(device, info),
    buffers: new Map(),
    layouts: new Map(),
    kernels: new Map(),
    allocated: 0,
    loss: undefined,
    lost,
  };
  return hold;
}

/** What `work` gives, unless the device is lost: then that is the error, whatever the work said. */
async function whileAlive<T>(hold: Hold, work: Promise<T>): Promise<T> {
  try {
    const result = await work;
    if (hold.loss) throw hold.loss;
    return result;
  } catch (cause) {
    if (cause instanceof ReimagenError) throw hold.loss ?? cause;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const waited = new Promise<undefined>((resolve) => {
      timer = setTimeout(resolve, lossDelay, undefined);
    });
    const loss = await Promise.race([hold.lost, waited]);
    clearTimeout(timer);
    throw loss ?? cause;
  }
}

async function compile(hold: Hold, kernel: Kernel, code: string): Promise<CompiledKernel> {
  const { device } = hold;
  // Error scopes keep a bad kernel out of the app's own uncaptured-error handler on an adopted device.
  device.pushErrorScope("validation");
  const module = device.createShaderModule({ label: kernel.name, code });
  const layout = layoutOf(hold, kernel);
  const creating = device.createComputePipelineAsync({
    label: kernel.name,
    layout: device.createPipelineLayout({ bindGroupLayouts: [layout] }),
    compute: { module, entryPoint: "main" },
  });
  const scope = device.popErrorScope();
  try {
    const pipeline = await creating;
    await scope;
    return { pipeline, layout };
  } catch (cause) {
    await scope.catch(() => null);
    const messages = (await module.getCompilationInfo()).messages.filter((m) => m.type === "error");
    // A compiler that has nothing to say was probably cut off by the loss of its device.
    if (messages.length === 0 && !(cause as GPUPipelineError).reason) throw cause;
    const said = messages[0] ? `line ${messages[0].lineNum}: ${messages[0].message}` : String(cause);
    throw new ReimagenError("kernel", `kernel ${kernel.name} does not compile: ${said}`, { cause });
  }
}

/**
 * Lets pipelines run over no workgroups at all. Drivers for processors (llvmpipe) may compile one only when it first runs, in the queue, for
 * up to a second: so they begin while files are read. Operands are dummies, as nobody touches them.
 */
function runOverNothing({ device }: Hold, compiled: readonly (readonly [CompiledKernel, Kernel])[]): void {
  const buffer = (usage: GPUBufferUsageFlags) => device.createBuffer({ size: 1024, usage });
  const { STORAGE, UNIFORM, INDIRECT } = GPUBufferUsage;
  const dummies = { read: buffer(STORAGE), write: buffer(STORAGE), parameters: buffer(UNIFORM) };
  const workgroups = buffer(INDIRECT);
  device.pushErrorScope("validation");
  for (const [{ pipeline, layout }, { bindings, parameters }] of compiled) {
    const kinds = [...bindings, ...(parameters ? (["parameters"] as const) : [])];
    const entries = kinds.flatMap((kind, binding) =>
      kind === "texture" ? [] : [{ binding, resource: { buffer: dummies[kind] } }],
    );
    // llvmpipe makes and frees views of textures under its queue's lock: whoever does waits for all that compiles there.
    if (entries.length < kinds.length) continue;
    const encoder = device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, device.createBindGroup({ layout, entries }));
    // An indirect dispatch, as others of no workgroups may never reach the driver.
    pass.dispatchWorkgroupsIndirect(workgroups, 0);
    pass.end();
    // Each on its own, so that other work need not wait for all of them.
    device.queue.submit([encoder.finish()]);
  }
  device.popErrorScope().catch(() => null);
  for (const dummy of [...Object.values(dummies), workgroups]) dummy.destroy();
}

function layoutOf(hold: Hold, { bindings, parameters }: Kernel): GPUBindGroupLayout {
  const kinds = [...bindings, ...(parameters ? (["parameters"] as const) : [])];
  const key = kinds.join();
  let layout = hold.layouts.get(key);
  if (!layout) {
    const visibility = GPUShaderStage.COMPUTE;
    const entries = kinds.map((kind, binding) => ({ binding, visibility, ...layoutEntries[kind] }));
    layout = hold.device.createBindGroupLayout({ label: key, entries });
    hold.layouts.set(key, layout);
  }
  return layout;
}

const layoutEntries: Record<BindingKind | "parameters", Omit<GPUBindGroupLayoutEntry, "binding" | "visibility">> = {
  read: { buffer: { type: "read-only-storage" } },
  write: { buffer: { type: "storage" } },
  texture: { texture: { sampleType: "unfilterable-float" } },
  parameters: { buffer: { type: "uniform" } },
};

/**
 * A device of our own, with the adapter's real limits and every useful feature; `requestAdapter` is asked again after a loss, and is the
 * browser's most powerful adapter unless told otherwise. Throws `no-adapter` where there is no WebGPU, no adapter, or it refuses.
 */
export async function requestGpu(requestAdapter: RequestAdapter = browserAdapter): Promise<Gpu> {
  const { device, info } = await requestDevice(requestAdapter);
  return new Gpu(device, info, requestAdapter);
}

async function browserAdapter(): Promise<GPUAdapter | null> {
  if (typeof navigator === "undefined" || !navigator.gpu)
    throw new ReimagenError(
      "no-adapter",
      "there is no WebGPU here: navigator.gpu needs a browser that has it, and a page from https or localhost",
    );
  return navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
}

async function requestDevice(requestAdapter: RequestAdapter): Promise<{ device: GPUDevice; info: GPUAdapterInfo }> {
  const adapter = await requestAdapter();
  if (!adapter) throw new ReimagenError("no-adapter", "WebGPU is here, but it has no adapter that it would use");
  const requiredFeatures = usefulFeatures.filter((name) => adapter.features.has(name));
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") requiredLimits[name] = value;
  }
  try {
    const device = await adapter.requestDevice({ label: "reimagen", requiredFeatures, requiredLimits });
    return { device, info: adapter.info };
  } catch (cause) {
    throw new ReimagenError("no-adapter", `the adapter ${adapter.info.description} gave no device: ${cause}`, {
      cause,
    });
  }
}

/** Takes on a device that the caller made: its limits and features are respected, its handlers untouched, and it is never destroyed. */
export function adoptGpu(device: GPUDevice): Gpu {
  return new Gpu(device, device.adapterInfo);
}
