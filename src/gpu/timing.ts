// Times compute passes: by the device's own clock where it has one, and by the wall clock.
import type { Gpu } from "./gpu.ts";

/** Milliseconds that a pass took. */
export interface PassTime {
  /** By timestamps; absent where the device has none. */
  readonly device?: number;
  /** From submitting it until its end is known: waiting adds up to a millisecond or two in Node. */
  readonly wall: number;
}

/** Times passes, one at a time. `dispose` frees what it holds. */
export class PassTimer {
  readonly #gpu: Gpu;
  readonly #queries: GPUQuerySet | undefined;
  readonly #resolved: GPUBuffer | undefined;

  /** `timestamps`: whether the device's clock is asked; it must have one then. */
  constructor(gpu: Gpu, timestamps: boolean) {
    this.#gpu = gpu;
    if (!timestamps) return;
    this.#queries = gpu.device.createQuerySet({ label: "timing", type: "timestamp", count: 2 });
    this.#resolved = gpu.allocate("timing", 16, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
  }

  /** Submits a pass of what `encode` encodes and waits for its end. Throws `device-lost`. */
  async time(encode: (pass: GPUComputePassEncoder) => void): Promise<PassTime> {
    const { device } = this.#gpu;
    const [querySet, resolved] = [this.#queries, this.#resolved];
    const encoder = device.createCommandEncoder({ label: "timing" });
    const pass = encoder.beginComputePass(
      querySet && { timestampWrites: { querySet, beginningOfPassWriteIndex: 0, endOfPassWriteIndex: 1 } },
    );
    encode(pass);
    pass.end();
    if (querySet) encoder.resolveQuerySet(querySet, 0, 2, resolved!, 0);
    const commands = encoder.finish();
    const begun = performance.now();
    device.queue.submit([commands]);
    if (!resolved) {
      await this.#gpu.idle();
      return { wall: performance.now() - begun };
    }
    const [first, last] = new BigUint64Array(await this.#gpu.read(resolved, 0, 16));
    return { device: Number(last! - first!) / 1e6, wall: performance.now() - begun };
  }

  dispose(): void {
    this.#queries?.destroy();
    if (this.#resolved) this.#gpu.release(this.#resolved);
  }
}
