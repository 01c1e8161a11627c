// Copies of a generation's state on the CPU, step by step, from which it goes on when its device is lost.
import type { Gpu } from "../gpu/gpu.ts";
import type { BufferRange } from "../graph/executor.ts";

/** The state after a step, as it lies in memory. */
export interface Snapshot {
  readonly step: number;
  /** One a state. */
  readonly states: readonly Uint8Array<ArrayBuffer>[];
}

/** As many as steps in flight; a step that finds none free goes without. */
const stagingBuffers = 2;

/** Takes snapshots of states without making the steps wait for them. */
export class Snapshots {
  readonly #gpu: Gpu;
  readonly #states: readonly BufferRange[];
  readonly #free: GPUBuffer[] = [];
  readonly #buffers: readonly GPUBuffer[];
  /** The last two, latest last: after a loss the step before the last one asked for is run again. */
  #taken: readonly Snapshot[];

  constructor(gpu: Gpu, states: readonly BufferRange[], taken: readonly Snapshot[] = []) {
    this.#gpu = gpu;
    this.#states = states;
    this.#taken = taken;
    const bytes = states.reduce((sum, { size }) => sum + size, 0);
    this.#buffers = Array.from({ length: stagingBuffers }, () =>
      gpu.allocate("snapshot", bytes, GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ),
    );
    this.#free.push(...this.#buffers);
  }

  /** Encodes the copy of the state after `step`; what it returns is to be called when the encoder has been submitted. */
  encode(encoder: GPUCommandEncoder, step: number): () => void {
    const staging = this.#free.pop();
    if (!staging) return () => undefined;
    let offset = 0;
    for (const { buffer, offset: from, size } of this.#states) {
      encoder.copyBufferToBuffer(buffer, from, staging, offset, size);
      offset += size;
    }
    return () => void this.#collect(staging, step);
  }

  /** The latest snapshots, latest last. */
  get taken(): readonly Snapshot[] {
    return this.#taken;
  }

  dispose(): void {
    for (const buffer of this.#buffers) this.#gpu.release(buffer);
  }

  async #collect(staging: GPUBuffer, step: number): Promise<void> {
    try {
      await staging.mapAsync(GPUMapMode.READ);
    } catch {
      // Disposed of, or the device is lost: then earlier snapshots serve.
      return;
    }
    const mapped = staging.getMappedRange();
    let offset = 0;
    const states = this.#states.map(({ size }) => {
      const bytes = new Uint8Array(mapped.slice(offset, offset + size));
      offset += size;
      return bytes;
    });
    staging.unmap();
    this.#taken = [...this.#taken.slice(-1), { step, states }];
    this.#free.push(staging);
  }
}
