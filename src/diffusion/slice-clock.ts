// Times slices of work by the device's own clock, without waiting for them.
import type { Gpu } from "../gpu/gpu.ts";

/** Slices that may be on their way at once; further ones are not timed. */
const slots = 4;

interface Slot {
  readonly resolved: GPUBuffer;
  readonly staging: GPUBuffer;
  readonly queries: number;
}

/** Where a slice's passes note their times. */
export interface SliceTimestamps {
  /** For the slice's first pass; of a slice of one pass, both. */
  readonly beginning: GPUComputePassTimestampWrites;
  /** For its last pass, where that is another. */
  readonly end: GPUComputePassTimestampWrites;
  readonly both: GPUComputePassTimestampWrites;
}

/** A slice that is being timed. */
interface TimedSlice {
  readonly timestamps: SliceTimestamps;
  /** Encodes what brings the times back, and calls with the milliseconds once the encoder, submitted in this task, has run. */
  finish(encoder: GPUCommandEncoder, report: (milliseconds: number) => void): void;
}

/** A clock for slices, on a device with `timestamp-query`. */
export class SliceClock {
  readonly #gpu: Gpu;
  readonly #querySet: GPUQuerySet;
  readonly #slots: readonly Slot[];
  readonly #free: Slot[];
  #disposed = false;

  constructor(gpu: Gpu) {
    this.#gpu = gpu;
    this.#querySet = gpu.device.createQuerySet({ label: "slices", type: "timestamp", count: 2 * slots });
    const { QUERY_RESOLVE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;
    this.#slots = Array.from({ length: slots }, (_, i) => ({
      resolved: gpu.allocate("slice times", 16, QUERY_RESOLVE | COPY_SRC),
      staging: gpu.allocate("slice times", 16, COPY_DST | MAP_READ),
      queries: 2 * i,
    }));
    this.#free = [...this.#slots];
  }

  /** Times one slice; undefined while too many are on their way. */
  time(): TimedSlice | undefined {
    const slot = this.#free.pop();
    if (!slot) return undefined;
    const querySet = this.#querySet;
    const [beginningOfPassWriteIndex, endOfPassWriteIndex] = [slot.queries, slot.queries + 1];
    return {
      timestamps: {
        beginning: { querySet, beginningOfPassWriteIndex },
        end: { querySet, endOfPassWriteIndex },
        both: { querySet, beginningOfPassWriteIndex, endOfPassWriteIndex },
      },
      finish: (encoder, report) => {
        encoder.resolveQuerySet(querySet, slot.queries, 2, slot.resolved, 0);
        encoder.copyBufferToBuffer(slot.resolved, 0, slot.staging, 0, 16);
        // Mapped before the submit, the buffer would spoil it; the next task is after it.
        setTimeout(() => this.#collect(slot, report), 0);
      },
    };
  }

  dispose(): void {
    this.#disposed = true;
    this.#querySet.destroy();
    for (const { resolved, staging } of this.#slots) {
      this.#gpu.release(resolved);
      this.#gpu.release(staging);
    }
  }

  async #collect(slot: Slot, report: (milliseconds: number) => void): Promise<void> {
    if (this.#disposed) return;
    try {
      await slot.staging.mapAsync(GPUMapMode.READ);
    } catch {
      // Disposed of, or the device is lost.
      return;
    }
    const [begun, ended] = new BigUint64Array(slot.staging.getMappedRange());
    const milliseconds = Number(ended! - begun!) / 1e6;
    slot.staging.unmap();
    this.#free.push(slot);
    // Clocks may be reset or jump; what cannot be is not learnt from.
    if (milliseconds >= 0 && milliseconds < 60_000) report(milliseconds);
  }
}
