// Cuts the dispatches of a generation into slices that fit an app's frames, and learns from how long they took.
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../graph/compile.ts";
import { costOf } from "../graph/cost.ts";
import type { Run } from "../graph/graph.ts";
import { Pace } from "./pace.ts";
import { SliceClock, type SliceTimestamps } from "./slice-clock.ts";

/** What moving a byte costs, roughly, before anything is measured. */
const flopsPerByte = 4;

/** Where a slice's passes note their times, if they do; `finish` is to be called when it is encoded. */
export interface SliceTiming {
  readonly timestamps: SliceTimestamps | undefined;
  finish(encoder: GPUCommandEncoder): void;
}

/** Which of the two ways of a step. */
export type Step = Extract<Run, "step" | "short step">;

/** Slices of the request's dispatches followed by those of a step or short step: places count through both. */
export class Slicer {
  readonly #gpu: Gpu;
  readonly #queue: GPUQueue;
  readonly #pace: Pace;
  readonly #requests: number;
  readonly #steps: number;
  /** Made when first needed, where the device has one; else frames are timed from outside. */
  #clock: SliceClock | undefined;

  constructor(gpu: Gpu, { schedule }: Plan) {
    this.#gpu = gpu;
    this.#queue = gpu.device.queue;
    this.#requests = schedule.request.length;
    this.#steps = schedule.step.length;
    this.#pace = new Pace(
      [...schedule.request, ...schedule.step, ...schedule["short step"]].map((planned) => {
        const { flops, bytes } = costOf(planned);
        return flops + bytes * flopsPerByte;
      }),
    );
  }

  /** The end of the slice from `from` that takes at most `budget` milliseconds. */
  reach(from: number, budget: number, step: Step): number {
    const shift = this.#shift(from, step);
    return this.#pace.reach(from + shift, budget, this.#end(from, step)) - shift;
  }

  /** Times the slice that is about to be encoded, to be submitted in this task. */
  time(slice: { from: number; to: number }, step: Step): SliceTiming {
    const pace = this.#pace;
    const shift = this.#shift(slice.from, step);
    const [from, to] = [slice.from + shift, slice.to + shift];
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

  // The pace knows the request, the step and the short step, one after the other.
  #shift(from: number, step: Step): number {
    return step === "short step" && from >= this.#requests ? this.#steps : 0;
  }

  // A slice ends with the request where what follows is not the step.
  #end(from: number, step: Step): number {
    if (step === "short step") return from < this.#requests ? this.#requests : Number.POSITIVE_INFINITY;
    return this.#requests + this.#steps;
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
