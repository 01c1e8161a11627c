// The values of every step's inputs on the device, ahead of the steps that take them.
import type { Gpu } from "../gpu/gpu.ts";
import type { Executor } from "../graph/executor.ts";

/** Steps whose rows are made and uploaded together. */
const chunk = 256;

/** Rows of all steps, of which no more than two chunks lie on the device. */
export class StepRows {
  readonly #gpu: Gpu;
  readonly #executor: Executor;
  readonly #steps: number;
  readonly #rowOf: (step: number) => Uint8Array;
  readonly #buffers = new Map<number, GPUBuffer>();

  constructor(gpu: Gpu, executor: Executor, steps: number, rowOf: (step: number) => Uint8Array) {
    this.#gpu = gpu;
    this.#executor = executor;
    this.#steps = steps;
    this.#rowOf = rowOf;
  }

  /** Encodes that the executor's step inputs take on the values of a step; steps come one after the other. */
  encode(encoder: GPUCommandEncoder, step: number): void {
    const at = Math.floor(step / chunk);
    const buffer = this.#buffers.get(at) ?? this.#upload(at);
    this.#executor.takeStepRow(encoder, buffer, (step - at * chunk) * this.#executor.stepRowBytes);
  }

  dispose(): void {
    for (const buffer of this.#buffers.values()) this.#gpu.release(buffer);
  }

  #upload(at: number): GPUBuffer {
    // The chunk before this one may be in an encoder that is not yet submitted.
    for (const [earlier, buffer] of this.#buffers)
      if (earlier !== at - 1) {
        this.#gpu.release(buffer);
        this.#buffers.delete(earlier);
      }
    const bytes = this.#executor.stepRowBytes;
    const count = Math.min(chunk, this.#steps - at * chunk);
    const rows = new Uint8Array(count * bytes);
    for (let i = 0; i < count; i++) rows.set(this.#rowOf(at * chunk + i), i * bytes);
    const usage = GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    const buffer = this.#gpu.allocate("rows of the steps", rows.length, usage);
    this.#gpu.device.queue.writeBuffer(buffer, 0, rows);
    this.#buffers.set(at, buffer);
    return buffer;
  }
}
