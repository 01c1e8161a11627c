// One generation in progress: a request's inputs on the device, and the steps that turn noise into a picture.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { BufferRange, Executor } from "../graph/executor.ts";
import type { ModelConfig } from "../models/config.ts";
import { neighborTables, type Shown, stepTables } from "../models/tables.ts";
import type { GuidanceStep } from "./guidance.ts";
import { keyOf } from "./philox.ts";
import type { StepCoefficients } from "./step.ts";

/** A text as the encoder takes it: ids padded to the model's text length, and how many count. */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly length: number;
}

/** A neighbour as the model takes it: [S, S, 3] in [-1, 1], and its caption. */
export interface EncodedNeighbor {
  readonly image: Float32Array;
  readonly caption: EncodedText;
}

/** All that one generation needs, decided. */
export interface GenerationInputs {
  readonly prompt: EncodedText;
  /** The empty prompt, for evaluations without text. */
  readonly empty: EncodedText;
  readonly neighbors: readonly EncodedNeighbor[];
  /** One a picture. */
  readonly seeds: readonly number[];
  readonly coefficients: readonly StepCoefficients[];
  /** The steps of each picture. */
  readonly guidance: readonly (readonly GuidanceStep[])[];
  /** What one unit of `timestep` is to the model, whose time runs from 0 to 1. */
  readonly timestepUnit: number;
}

/** Which text row is which. */
const rows = { prompt: 0, empty: 1, captions: 2 };

/** Texts that a generation encodes besides captions. */
export const textRows = rows.captions;

/** A generation in progress on an executor that nobody else uses meanwhile. */
export class Generation {
  readonly #gpu: Gpu;
  readonly #config: ModelConfig;
  readonly #executor: Executor;
  readonly #inputs: GenerationInputs;
  #step = 0;

  /** Uploads the request, encodes its texts and neighbours, and draws the initial noise. */
  constructor(gpu: Gpu, config: ModelConfig, executor: Executor, inputs: GenerationInputs) {
    this.#gpu = gpu;
    this.#config = config;
    this.#executor = executor;
    this.#inputs = inputs;
    this.#writeRequest();
    const encoder = gpu.device.createCommandEncoder({ label: "request" });
    executor.encode("request", encoder);
    copy(encoder, executor.range("noise"), executor.range("x"));
    if (executor.has("x0.previous")) {
      // What an earlier generation left must not even be multiplied by zero: it may be NaN.
      const { buffer, offset, size } = executor.range("x0.previous");
      encoder.clearBuffer(buffer, offset, size);
    }
    gpu.device.queue.submit([encoder.finish()]);
  }

  /** Steps done. */
  get step(): number {
    return this.#step;
  }

  /** Steps in all. */
  get steps(): number {
    return this.#inputs.coefficients.length;
  }

  /** Submits the next denoising step. Throws `argument` when all are done. */
  advance(): void {
    const encoder = this.#gpu.device.createCommandEncoder({ label: `step ${this.#step}` });
    this.encode(encoder);
    this.#gpu.device.queue.submit([encoder.finish()]);
  }

  /** Encodes the next step; the encoder must be submitted before the following one is encoded. */
  encode(encoder: GPUCommandEncoder, timestamps?: GPUComputePassTimestampWrites): void {
    if (this.#step >= this.steps)
      throw new ReimagenError("argument", `all ${this.steps} steps of this generation are done`);
    this.#writeStep(this.#step++);
    this.#executor.encode("step", encoder, timestamps);
  }

  /** Pictures so far, RGBA8, [N, S, S, 4]: of x itself, or the model's estimate of the finished picture. */
  async read(what: "picture" | "estimate"): Promise<Uint8ClampedArray<ArrayBuffer>> {
    return new Uint8ClampedArray((await this.#executor.read(what)).buffer);
  }

  /** The pictures as values, [N, S, S, 3], nominally in [-1, 1]. Throws `not-finite` when the model produced NaN or infinity. */
  async values(): Promise<Float32Array> {
    const values = (await this.#executor.read("x.next")) as Float32Array;
    const at = values.findIndex((v) => !Number.isFinite(v));
    if (at >= 0)
      throw new ReimagenError(
        "not-finite",
        `the picture has ${values[at]} at value ${at} after step ${this.#step} of ${this.steps}`,
      );
    return values;
  }

  #writeRequest(): void {
    const { prompt, empty, neighbors, seeds } = this.#inputs;
    const texts = [prompt, empty, ...neighbors.map(({ caption }) => caption)];
    const write = this.#executor.write.bind(this.#executor);
    write("text.ids", Uint32Array.from(texts.flatMap(({ ids }) => [...ids])));
    write(
      "text.lengths",
      Uint32Array.from(texts, ({ length }) => length),
    );
    write("text.table", Uint32Array.from(texts.flatMap(({ length }, row) => [row, length])));
    write("noise.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), 0, 0])));
    if (neighbors.length === 0) return;
    const images = new Float32Array(neighbors.length * this.#config.size ** 2 * 3);
    neighbors.forEach(({ image }, i) => {
      images.set(image, i * image.length);
    });
    write("neighbor.images", images);
    const captions = neighbors.map(({ caption }, i) => ({ row: rows.captions + i, length: caption.length }));
    for (const [name, table] of neighborTables(this.#config, captions)) write(name, table);
  }

  #writeStep(step: number): void {
    const { coefficients, guidance, seeds, timestepUnit } = this.#inputs;
    const { timestep, px, pm, cx, cm, c0, c1, cn, cv = 0 } = coefficients[step]!;
    const write = this.#executor.write.bind(this.#executor);
    write("t", Float32Array.of(timestep * timestepUnit));
    write("coefficients", Float32Array.of(px, pm, cx, cm, c0, c1, cn, cv));
    if (this.#executor.has("step.key"))
      write("step.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), step + 1, 0])));
    const steps = guidance.map((of) => of[step]!);
    const shown = steps.map(({ conditional }) => this.#shown(conditional));
    if (this.#executor.has("weight")) {
      write(
        "weight",
        Float32Array.from(steps, ({ weight }) => weight),
      );
      // A step without guidance among others with it: base = conditional, and any weight gives the same.
      shown.push(...steps.map(({ base, conditional }) => this.#shown(base ?? conditional)));
    }
    for (const [name, table] of stepTables(this.#config, shown)) write(name, table);
  }

  #shown({ text, neighbors }: { text: boolean; neighbors: boolean }): Shown {
    const { prompt, empty, neighbors: all } = this.#inputs;
    return {
      text: text ? { row: rows.prompt, length: prompt.length } : { row: rows.empty, length: empty.length },
      neighbors: { first: 0, count: neighbors ? all.length : 0 },
    };
  }
}

function copy(encoder: GPUCommandEncoder, from: BufferRange, to: BufferRange): void {
  encoder.copyBufferToBuffer(from.buffer, from.offset, to.buffer, to.offset, to.size);
}
