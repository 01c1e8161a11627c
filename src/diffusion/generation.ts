// One generation in progress: noise becomes a picture step by step, in the engine's own submits or in an app's frames.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { BufferRange, Executor, TensorData } from "../graph/executor.ts";
import type { Run } from "../graph/graph.ts";
import { type Picture, picturesOf } from "../io/picture.ts";
import { type GenerationInputs, stepRow, tellsSameText, writeRequest } from "./inputs.ts";
import type { DenoisingModel } from "./loop.ts";
import type { LowPictures } from "./low.ts";
import { isPicture, type NeighborImage, uploadNeighbors } from "./neighbors.ts";
import type { Decision } from "./request.ts";
import type { SamplingSettings } from "./settings.ts";
import { Slicer } from "./slicer.ts";
import { type Snapshot, Snapshots } from "./snapshots.ts";
import { StepRows } from "./step-rows.ts";
import { copyToTexture, type Shown, type TextureCopy, type TextureOptions } from "./textures.ts";

/** Finished pictures, also as an upscaler takes them. */
export interface Generated {
  readonly pictures: readonly Picture[];
  readonly values: LowPictures;
  readonly settings: SamplingSettings;
  /** What the user should know: text that was cut, words that the model does not know. */
  readonly warnings: readonly string[];
}

/** How far a generation is. */
export interface Progress {
  /** Steps done (the last one may still be running on the GPU). */
  readonly step: number;
  /** Steps in all. */
  readonly steps: number;
}

/** Options of `encode`. */
export interface EncodeOptions {
  /** Milliseconds that the encoded work may take, as measured so far; a step is cut where it would take longer. Default: a whole step. */
  readonly budget?: number;
}

/** What a generation needs of its engine. */
export interface GenerationHost {
  readonly gpu: Gpu;
  readonly model: Pick<DenoisingModel, "extent" | "visible">;
  /** An executor for this generation alone, on a device that lives, if need be on a new one. */
  borrow(): Promise<Executor>;
  giveBack(executor: Executor, generation: Generation): void;
}

/** How often a new device is tried for one and the same step. */
const mostAttempts = 3;

/** A generation in progress. It holds GPU memory until `dispose` or `finish`. */
export class Generation implements AsyncIterable<Progress> {
  readonly settings: SamplingSettings;
  /** What the user should know: text that was cut, words that the model does not know. */
  readonly warnings: readonly string[];
  readonly #host: GenerationHost;
  readonly #inputs: GenerationInputs;
  readonly #signal: AbortSignal | undefined;
  #executor: Executor;
  #device: GPUDevice;
  #rows: StepRows;
  #slicer: Slicer;
  /** Where the next dispatch is, among the request's and then the step's. */
  #cursor = 0;
  #step = 0;
  #snapshots: Snapshots | undefined;
  /** The neighbours, to be brought to another device: as they were given, and as the model sees them. */
  #neighbors: { images: readonly NeighborImage[]; side: number; values: Promise<TensorData> } | undefined;
  #inFlight: Promise<void> = Promise.resolve();
  #mending: Promise<void> | undefined;
  #ended: "disposed" | "engine" | undefined;

  /** For the engine, which calls `prepare` next. */
  constructor(
    host: GenerationHost,
    executor: Executor,
    { inputs, settings, warnings }: Decision,
    signal?: AbortSignal,
  ) {
    this.#host = host;
    this.#inputs = inputs;
    this.#signal = signal;
    this.settings = settings;
    this.warnings = warnings;
    this.#executor = executor;
    this.#device = host.gpu.device;
    this.#slicer = new Slicer(host.gpu, executor.plan);
    this.#rows = this.#writeInputs();
  }

  /** Brings the neighbours' pictures to the device, `side` pixels wide; for the engine. Errors: those of `uploadNeighbors`. */
  async prepare(images: readonly NeighborImage[], side = 0): Promise<void> {
    const { gpu } = this.#host;
    if (images.length > 0) {
      await uploadNeighbors(gpu, images, this.#executor.range("neighbor.images"), side);
      if (gpu.renewable) {
        const values = this.#executor.read("neighbor.images");
        values.catch(() => undefined);
        this.#neighbors = { images, side, values };
        // Pixels can be brought again, so that nobody waits for them; what a texture or a canvas held cannot.
        if (!images.every(isPicture)) await values;
      }
    }
    this.#check();
    if (gpu.renewable) this.#snapshots = new Snapshots(gpu, this.#executor.states);
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Steps in all. */
  get steps(): number {
    return this.#inputs.coefficients.length;
  }

  get finished(): boolean {
    return this.#step === this.steps;
  }

  /** In pixels, or values of a latent. */
  get height(): number {
    return this.#host.model.extent[0];
  }

  /** In pixels, or values of a latent. */
  get width(): number {
    return this.#host.model.extent[1];
  }

  /** How many pictures are drawn at once. */
  get pictures(): number {
    return this.#inputs.seeds.length;
  }

  /**
   * Encodes up to one step into the caller's encoder, which is to be submitted in the same task and may hold up to 256 steps; true when this
   * completes a step. The first call encodes texts and neighbours too. Throws `argument` when all steps are done, `aborted`, `device-lost`.
   */
  encode(encoder: GPUCommandEncoder, { budget }: EncodeOptions = {}): boolean {
    this.#check();
    if (this.#stale) throw this.#loss();
    if (this.finished) throw new ReimagenError("argument", `all ${this.steps} steps of this generation are done`);
    const executor = this.#executor;
    const requests = executor.count("request");
    const short = executor.count("short step") > 0 && tellsSameText(this.#inputs.guidance, this.#step);
    const step = short ? "short step" : "step";
    const all = requests + executor.count(step);
    const from = this.#cursor;
    const to = budget === undefined ? all : this.#slicer.reach(from, budget, step);
    const timing = budget === undefined ? undefined : this.#slicer.time({ from, to }, step);
    const [begins, ends] = [from < requests, to > requests];
    if (begins) {
      const timestamps = ends ? timing?.timestamps?.beginning : timing?.timestamps?.both;
      executor.encode("request", encoder, { from, to: Math.min(to, requests), ...(timestamps && { timestamps }) });
      if (to >= requests) this.#encodeFirstState(encoder);
    }
    if (ends) {
      const first = Math.max(from - requests, 0);
      if (first === 0) this.#rows.encode(encoder, this.#step);
      const timestamps = begins ? timing?.timestamps?.end : timing?.timestamps?.both;
      executor.encode(step, encoder, { from: first, to: to - requests, ...(timestamps && { timestamps }) });
    }
    timing?.finish(encoder);
    this.#cursor = to < all ? to : requests;
    if (to < all) return false;
    this.#step++;
    return true;
  }

  /**
   * One step an iteration, submitted by the engine, which keeps one step in flight. Leaving the loop early is allowed, and the next loop
   * goes on. Throws `aborted`, and `device-lost` where the device is not ours to replace; else goes on from the last step.
   */
  async *[Symbol.asyncIterator](): AsyncGenerator<Progress, void, undefined> {
    const { gpu } = this.#host;
    while (!this.finished) {
      await this.#reliably(async () => {
        this.#submit();
        const submitted = gpu.idle();
        // Awaited a step later; a failure shows then.
        submitted.catch(() => undefined);
        await this.#inFlight;
        this.#inFlight = submitted;
      });
      yield { step: this.#step, steps: this.steps };
    }
    await this.#reliably(() => gpu.idle());
    this.#check();
  }

  /** Runs the steps that are left, reads the pictures and disposes. Throws what iterating and `values` throw. */
  async finish(): Promise<Generated> {
    try {
      for await (const _ of this);
      const { height, width, settings, warnings } = this;
      const values = { height, width, values: await this.values() };
      return { pictures: await this.read("picture"), values, settings, warnings };
    } finally {
      this.dispose();
    }
  }

  /** Encodes a copy of a picture into an `rgba8unorm` or `rgba8unorm-srgb` texture with `COPY_DST`. Throws `argument` and what `encode` throws. */
  copyToTexture(
    encoder: GPUCommandEncoder,
    texture: GPUTexture,
    { what = "picture", index = 0, origin }: TextureCopy = {},
  ): void {
    this.#check();
    if (this.#stale) throw this.#loss();
    if (!(Number.isInteger(index) && index >= 0 && index < this.pictures))
      throw new ReimagenError("argument", `index should be 0 to ${this.pictures - 1}, got ${index}`);
    copyToTexture(encoder, this.range(what), { index, width: this.width, height: this.height }, texture, origin);
  }

  /** A texture of the picture's size with the picture as it stands; the caller's to use, to fill anew by `copyToTexture`, and to destroy. */
  createTexture({ usage, format = "rgba8unorm", label = "reimagen", ...copy }: TextureOptions): GPUTexture {
    this.#check();
    const texture = this.#device.createTexture({
      label,
      size: [this.width, this.height],
      format,
      usage: usage | GPUTextureUsage.COPY_DST,
    });
    const encoder = this.#device.createCommandEncoder({ label });
    this.copyToTexture(encoder, texture, copy);
    this.#device.queue.submit([encoder.finish()]);
    return texture;
  }

  /**
   * Where the pictures lie on the GPU, for copies and shaders: `picture` and `estimate` RGBA8 u32 [N, H, W], `x` f32 [N, H, W, C]. Not to
   * be written, and gone after `dispose`, `finish` or a loss of the device. Throws `argument` for pictures where x is a latent.
   */
  range(what: Shown | "x"): BufferRange {
    this.#check();
    if (what !== "x") this.#checkVisible();
    return this.#executor.range(what);
  }

  /** The pictures as they stand. Throws `device-lost` as iterating does, and what `range` throws. */
  async read(what: Shown): Promise<Picture[]> {
    this.#checkVisible();
    return picturesOf(await this.#read(what), this);
  }

  /** x as values, [N, H, W, C], those of a picture nominally in [-1, 1]. Throws `not-finite` when the model produced NaN or infinity, and what `read` throws. */
  async values(): Promise<Float32Array<ArrayBuffer>> {
    const values = (await this.#read("x.next")) as Float32Array<ArrayBuffer>;
    const at = values.findIndex((v) => !Number.isFinite(v));
    if (at >= 0)
      throw new ReimagenError(
        "not-finite",
        `the picture has ${values[at]} at value ${at} after step ${this.#step} of ${this.steps}`,
      );
    return values;
  }

  /** Hands the request, then the first step and a short step to `measure`, which runs each once; for the engine, on a generation that goes no further. */
  async measure<T>(measure: (executor: Executor, run: Run) => Promise<T>): Promise<{ request: T; step: T; short: T }> {
    this.#check();
    const request = await measure(this.#executor, "request");
    const encoder = this.#device.createCommandEncoder({ label: "first state" });
    this.#encodeFirstState(encoder);
    this.#rows.encode(encoder, 0);
    this.#device.queue.submit([encoder.finish()]);
    const step = await measure(this.#executor, "step");
    return { request, step, short: await measure(this.#executor, "short step") };
  }

  /** Gives the GPU memory back; textures made by `createTexture` stay the caller's. */
  dispose(): void {
    this.#end("disposed");
  }

  /** As `dispose`, by the engine that is being disposed of: what is under way then ends with `aborted`. */
  disposeWithEngine(): void {
    this.#end("engine");
  }

  #end(why: "disposed" | "engine"): void {
    if (this.#ended) return;
    this.#ended = why;
    this.#rows.dispose();
    this.#snapshots?.dispose();
    this.#slicer.dispose();
    this.#host.giveBack(this.#executor, this);
  }

  #read(what: Shown | "x.next"): ReturnType<Executor["read"]> {
    this.#check();
    return this.#reliably(() => this.#executor.read(what));
  }

  #check(): void {
    if (this.#ended === "disposed") throw new ReimagenError("argument", "this generation has been disposed of");
    if (!this.#ended && !this.#signal?.aborted) return;
    throw endedEarly(this.#ended ? "engine" : "signal", this.#step, this.steps);
  }

  #checkVisible(): void {
    if (!this.#host.model.visible)
      throw new ReimagenError("argument", "what is drawn here is a latent, which no one can see before it is decoded");
  }

  get #stale(): boolean {
    const { gpu } = this.#host;
    return gpu.loss !== undefined || gpu.device !== this.#device;
  }

  #loss(): ReimagenError {
    return this.#host.gpu.loss ?? new ReimagenError("device-lost", "the GPU device of this generation was lost");
  }

  #submit(): void {
    const encoder = this.#device.createCommandEncoder({ label: `step ${this.#step}` });
    this.encode(encoder);
    const collect = this.#snapshots?.encode(encoder, this.#step);
    this.#device.queue.submit([encoder.finish()]);
    collect?.();
  }

  /** Runs `work`; when the device is lost and ours, on a new one, at the step that had been reached. */
  async #reliably<T>(work: () => Promise<T>): Promise<T> {
    const reached = this.#step;
    for (let attempt = 1; ; attempt++) {
      try {
        if (this.#stale) {
          this.#mending ??= this.#mend(reached).finally(() => {
            this.#mending = undefined;
          });
          await this.#mending;
        }
        return await work();
      } catch (error) {
        const lost = error instanceof ReimagenError && error.code === "device-lost";
        if (!lost || !this.#host.gpu.renewable || attempt === mostAttempts) throw error;
      }
    }
  }

  async #mend(reached: number): Promise<void> {
    const executor = await this.#host.borrow();
    if (this.#ended) this.#host.giveBack(executor, this);
    this.#check();
    this.#executor = executor;
    this.#device = this.#host.gpu.device;
    this.#slicer = new Slicer(this.#host.gpu, executor.plan);
    this.#rows = this.#writeInputs();
    this.#inFlight = Promise.resolve();
    if (this.#neighbors) {
      const { images, side, values } = this.#neighbors;
      const seen = await values.catch(() => undefined);
      if (seen) executor.write("neighbor.images", seen);
      else await uploadNeighbors(this.#host.gpu, images, executor.range("neighbor.images"), side);
    }
    const taken = this.#snapshots?.taken ?? [];
    this.#snapshots = new Snapshots(this.#host.gpu, this.#executor.states, taken);
    this.#cursor = 0;
    this.#step = 0;
    // At least one step is run again, as what it shows is not part of the snapshot.
    const snapshot = taken.findLast(({ step }) => step < reached);
    if (snapshot) this.#restore(snapshot);
    while (this.#step < reached) this.#submit();
  }

  #restore({ step, states }: Snapshot): void {
    const encoder = this.#device.createCommandEncoder({ label: "request" });
    this.#executor.encode("request", encoder);
    this.#device.queue.submit([encoder.finish()]);
    this.#executor.states.forEach(({ buffer, offset }, i) => {
      this.#device.queue.writeBuffer(buffer, offset, states[i]!);
    });
    this.#cursor = this.#executor.count("request");
    this.#step = step;
  }

  #writeInputs(): StepRows {
    const { gpu, model } = this.#host;
    const executor = this.#executor;
    writeRequest(executor, this.#inputs);
    // What an earlier generation left must not be shown, nor, as it may be NaN, even be multiplied by zero.
    const encoder = this.#device.createCommandEncoder({ label: "clear" });
    const shown = model.visible ? ["picture", "estimate"] : [];
    for (const { buffer, offset, size } of [...shown.map((name) => executor.range(name)), ...executor.states])
      encoder.clearBuffer(buffer, offset, size);
    this.#device.queue.submit([encoder.finish()]);
    return new StepRows(gpu, executor, this.steps, (step) => stepRow(executor, this.#inputs, step));
  }

  #encodeFirstState(encoder: GPUCommandEncoder): void {
    const [noise, x] = [this.#executor.range("noise"), this.#executor.range("x")];
    encoder.copyBufferToBuffer(noise.buffer, noise.offset, x.buffer, x.offset, x.size);
  }
}

/** The error of a generation that was cut short after some of its steps. */
export function endedEarly(by: "engine" | "signal", step: number, steps: number): ReimagenError {
  const why = by === "engine" ? "ended, as its engine was disposed of," : "was aborted";
  return new ReimagenError("aborted", `the generation ${why} after step ${step} of ${steps}`);
}
