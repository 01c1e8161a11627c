// The engine's hold on one GPU device: what it can do, the buffers and pipelines we made on it, and how to give them back.
import { ReimagenError } from "../errors.ts";
import { assemble, type BindingKind, type Kernel } from "./kernel.ts";

/** What decides which kernels can run and which are preferred. */
export interface DeviceTraits {
  /** The adapter computes on the CPU (SwiftShader, llvmpipe, WARP): no barriers and few loads beat tiling. */
  readonly software: boolean;
  /** Lanes a subgroup when that is one known number and the device has `subgroups`; else 0. */
  readonly subgroupSize: number;
  readonly shaderF16: boolean;
  readonly subgroupMatrix: boolean;
  readonly timestamps: boolean;
  readonly limits: GPUSupportedLimits;
}

/** A compiled kernel and the layout its bind groups follow. */
export interface CompiledKernel {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Features that make something faster; asked for where the adapter has them. */
export const usefulFeatures = [
  "shader-f16",
  "subgroups",
  "chromium-experimental-subgroup-matrix",
  "timestamp-query",
] as const;

/** One device and all that the engine allocated on it. */
export class Gpu {
  readonly traits: DeviceTraits;
  readonly #buffers = new Map<GPUBuffer, number>();
  readonly #layouts = new Map<string, GPUBindGroupLayout>();
  readonly #kernels = new Map<string, Promise<CompiledKernel>>();
  #allocated = 0;

  /** `owned`: the device was requested by us and dies with us; an adopted one is never destroyed. */
  constructor(
    readonly device: GPUDevice,
    readonly info: GPUAdapterInfo,
    readonly owned: boolean,
  ) {
    this.traits = traitsOf(device, info);
  }

  /** Bytes of all live buffers that the engine made on this device. */
  get allocatedBytes(): number {
    return this.#allocated;
  }

  /** A zero-filled buffer of at least `bytes`. Throws `limit` when it exceeds what the device allows. */
  allocate(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(16, Math.ceil(bytes / 16) * 16);
    const { maxBufferSize } = this.device.limits;
    if (size > maxBufferSize)
      throw new ReimagenError(
        "limit",
        `${label} needs maxBufferSize of at least ${size}, but the device has ${maxBufferSize}`,
      );
    const buffer = this.device.createBuffer({ label, size, usage });
    this.#buffers.set(buffer, size);
    this.#allocated += size;
    return buffer;
  }

  /** Frees a buffer made by `allocate`; a second call does nothing. */
  release(buffer: GPUBuffer): void {
    const size = this.#buffers.get(buffer);
    if (size === undefined) return;
    this.#buffers.delete(buffer);
    this.#allocated -= size;
    buffer.destroy();
  }

  /** Compiles a kernel, once; equal kernels share a pipeline. Throws `kernel` with the compiler's first complaint. */
  compile(kernel: Kernel): Promise<CompiledKernel> {
    const code = assemble(kernel);
    const key = `${kernel.bindings.join()}\n${code}`;
    let compiled = this.#kernels.get(key);
    if (!compiled) {
      compiled = this.#compile(kernel, code);
      this.#kernels.set(key, compiled);
      compiled.catch(() => this.#kernels.delete(key));
    }
    return compiled;
  }

  /** Waits until all submitted work is done. */
  async idle(): Promise<void> {
    await this.device.queue.onSubmittedWorkDone();
  }

  /** Copies `bytes` of a buffer back to the CPU. The buffer needs `COPY_SRC`. */
  async read(buffer: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    const staging = this.allocate("readback", bytes, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ);
    try {
      const encoder = this.device.createCommandEncoder({ label: "readback" });
      encoder.copyBufferToBuffer(buffer, offset, staging, 0, Math.ceil(bytes / 4) * 4);
      this.device.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      return staging.getMappedRange(0, Math.ceil(bytes / 8) * 8).slice(0, bytes);
    } finally {
      this.release(staging);
    }
  }

  /** Frees every buffer; destroys the device when it is ours. */
  dispose(): void {
    for (const buffer of [...this.#buffers.keys()]) this.release(buffer);
    this.#kernels.clear();
    if (this.owned) this.device.destroy();
  }

  async #compile(kernel: Kernel, code: string): Promise<CompiledKernel> {
    const { device } = this;
    // Error scopes keep a bad kernel out of the app's own uncaptured-error handler on an adopted device.
    device.pushErrorScope("validation");
    const module = device.createShaderModule({ label: kernel.name, code });
    const layout = this.#layout(kernel);
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
      const said = messages[0] ? `line ${messages[0].lineNum}: ${messages[0].message}` : String(cause);
      throw new ReimagenError("kernel", `kernel ${kernel.name} does not compile: ${said}`, { cause });
    }
  }

  #layout({ bindings, parameters }: Kernel): GPUBindGroupLayout {
    const kinds = [...bindings, ...(parameters ? (["parameters"] as const) : [])];
    const key = kinds.join();
    let layout = this.#layouts.get(key);
    if (!layout) {
      const visibility = GPUShaderStage.COMPUTE;
      const entries = kinds.map((kind, binding) => ({ binding, visibility, ...layoutEntries[kind] }));
      layout = this.device.createBindGroupLayout({ label: key, entries });
      this.#layouts.set(key, layout);
    }
    return layout;
  }
}

const layoutEntries: Record<BindingKind | "parameters", Omit<GPUBindGroupLayoutEntry, "binding" | "visibility">> = {
  read: { buffer: { type: "read-only-storage" } },
  write: { buffer: { type: "storage" } },
  texture: { storageTexture: { access: "write-only", format: "rgba8unorm" } },
  parameters: { buffer: { type: "uniform" } },
};

/** Asks the adapter for a device with its real limits and every useful feature. Throws `no-adapter` when it refuses. */
export async function requestGpu(adapter: GPUAdapter): Promise<Gpu> {
  const requiredFeatures = usefulFeatures.filter((name) =>
    adapter.features.has(name as GPUFeatureName),
  ) as GPUFeatureName[];
  const requiredLimits: Record<string, number> = {};
  for (const name in adapter.limits) {
    const value = adapter.limits[name as keyof GPUSupportedLimits];
    if (typeof value === "number") requiredLimits[name] = value;
  }
  try {
    const device = await adapter.requestDevice({ label: "reimagen", requiredFeatures, requiredLimits });
    return new Gpu(device, adapter.info, true);
  } catch (cause) {
    throw new ReimagenError("no-adapter", `the adapter ${adapter.info.description} gave no device: ${cause}`, {
      cause,
    });
  }
}

/** Takes on a device that the caller made: its limits and features are respected, its handlers untouched, and it is never destroyed. */
export function adoptGpu(device: GPUDevice): Gpu {
  return new Gpu(device, device.adapterInfo, false);
}

function traitsOf(device: GPUDevice, info: GPUAdapterInfo): DeviceTraits {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  return {
    software:
      info.isFallbackAdapter ||
      /swiftshader|llvmpipe|software|warp/i.test(`${info.architecture} ${info.device} ${info.description}`),
    subgroupSize: device.features.has("subgroups") && least === most ? (least ?? 0) : 0,
    shaderF16: device.features.has("shader-f16"),
    subgroupMatrix: device.features.has("chromium-experimental-subgroup-matrix" as GPUFeatureName),
    timestamps: device.features.has("timestamp-query"),
    limits: device.limits,
  };
}
