// Cuts the dispatches of a generation into slices that fit an app's frames, and learns from how long they took.
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../graph/compile.ts";
import { costOf } from "../graph/cost.ts";
import { Pace } from "./pace.ts";
import { SliceClock, type SliceTimestamps } from "./slice-clock.ts";

/** What moving a byte costs, roughly, before anything is measured. */
const flopsPerByte = 4;

/** Where a slice's passes note their times, if they do; `finish` is to be called when it is encoded. */
export interface SliceTiming {
  readonly timestamps: SliceTimestamps | undefined;
  finish(encoder: GPUCommandEncoder): void;
}

/** Slices of the request's dispatches followed by the step's. */
export class Slicer {
  readonly #gpu: Gpu;
  readonly #queue: GPUQueue;
  readonly #pace: Pace;
  /** Made when first needed, where the device has one; else frames are timed from outside. */
  #clock: SliceClock | undefined;

  constructor(gpu: Gpu, { schedule }: Plan) {
    this.#gpu = gpu;
    this.#queue = gpu.device.queue;
    this.#pace = new Pace(
      [...schedule.request, ...schedule.step].map((planned) => {
        const { flops, bytes } = costOf(planned);
        return flops + bytes * flopsPerByte;
      }),
    );
  }

  /** The end of the slice from `from` that takes at most `budget` milliseconds. */
  reach(from: number, budget: number): number {
    return this.#pace.reach(from, budget);
  }

  /** Times the slice that is about to be encoded, to be submitted in this task. */
  time(from: number, to: number): SliceTiming {
    const pace = this.#pace;
    if (!this.#gpu.traits.timestamps) return { timestamps: undefined, finish: () => this.#timeFrame(from, to) };
    this.#clock ??= new SliceClock(this.#gpu);
    const timing = this.#clock.time();
    return {
      timestamps: timing?.timestamps,
      finish: (encoder) => timing?.finish(encoder, (milliseconds) => pace.learn(from, to, milliseconds)),
    };
  }

  dispose(): void {
    this.#clock?.dispose();
  }

  #timeFrame(from: number, to: number): void {
    const encoded = performance.now();
    // By the next task the caller has submitted.
    setTimeout(async () => {
      await this.#queue.onSubmittedWorkDone().catch(() => undefined);
      this.#pace.learnFrame(from, to, performance.now() - encoded);
    }, 0);
  }
}
