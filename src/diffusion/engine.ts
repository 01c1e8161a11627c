// The engine: a model on a device, and pictures from prompts and neighbours.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { compileGraph, type Plan } from "../graph/compile.ts";
import { createExecutor, type Executor } from "../graph/executor.ts";
import { weightsOf } from "../graph/graph.ts";
import { checkLimits } from "../graph/limits.ts";
import { onWhite, type Picture } from "../io/picture.ts";
import { openSafetensors } from "../io/safetensors.ts";
import type { ByteSource } from "../io/source.ts";
import { readTokenizer, type Tokenizer } from "../io/tokenizer.ts";
import { type ModelConfig, readConfig } from "../models/config.ts";
import { loadWeights } from "../models/weights.ts";
import { type EncodedText, Generation, type GenerationInputs, textRows } from "./generation.ts";
import { type GuidanceMode, guidanceSteps } from "./guidance.ts";
import { denoisingLoop, type LoopShape } from "./loop.ts";
import { stepCoefficients } from "./samplers.ts";
import { cosineSchedule, discreteSchedule, type NoiseSchedule } from "./schedule.ts";
import { type PartialSettings, type SamplingSettings, samplingSettings } from "./settings.ts";

/** A checkpoint folder's files, wherever they lie. */
export interface ModelFiles {
  /** For messages. */
  readonly name: string;
  /** Text of `config.json`. */
  readonly config: string;
  /** Text of `tokenizer.json`. */
  readonly tokenizer: string;
  /** `model.safetensors`. */
  readonly weights: ByteSource;
}

/** Options of `createEngine`. */
export interface EngineOptions {
  /** Storage of activations and weights; sums are always f32. Default f32. */
  readonly storage?: "f32" | "f16";
  /** Called with bytes of the weights loaded so far and in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** A picture that shows the model what something looks like, with a caption that says what it is. */
export interface NeighborPicture {
  /** Square, of the model's size; transparent parts become white. */
  readonly picture: Picture;
  readonly caption: string;
}

/** What to draw. */
export interface GenerationRequest {
  readonly prompt: string;
  /** Up to 8. */
  readonly neighbors?: readonly NeighborPicture[];
  readonly settings?: PartialSettings;
  /** How many pictures at once, with seeds from `settings.seed` on. Default 1. */
  readonly pictures?: number;
}

/** Options of `generate`. */
export interface GenerateOptions {
  /** Called after each step with the number of steps done and in all, and a reader of the current estimate. */
  readonly onStep?: (done: number, total: number, generation: Generation) => void | Promise<void>;
  /** Called as kernels for this kind of request are compiled, where they are not yet. */
  readonly onCompile?: (done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Finished pictures. */
export interface Generated {
  readonly pictures: readonly Picture[];
  readonly settings: SamplingSettings;
  /** What the user should know: text that was cut, words that the model does not know. */
  readonly warnings: readonly string[];
}

/** Most neighbours of one request (Chen et al. 2022 use up to 3). */
export const MAX_NEIGHBORS = 8;

/** Executors kept for requests of the same kind; each holds its own activations. */
const KEPT_EXECUTORS = 4;

/** Loads a model onto a device. Throws `config`, `checkpoint`, `tensor`, `dtype`, `not-finite`, `limit` or `aborted`, and leaves nothing behind. */
export async function createEngine(gpu: Gpu, files: ModelFiles, options: EngineOptions = {}): Promise<Engine> {
  const config = readConfig(`${files.name}/config.json`, files.config);
  const tokenizer = readTokenizer(`${files.name}/tokenizer.json`, files.tokenizer);
  if (tokenizer.vocabularySize > config.vocab)
    throw new ReimagenError(
      "config",
      `${files.name}: the tokenizer has ${tokenizer.vocabularySize} words, but the config's vocab is ${config.vocab}`,
    );
  const checkpoint = await openSafetensors(files.weights, options.signal);
  const storage = options.storage ?? "f32";
  const probe: LoopShape = {
    storage,
    pictures: 1,
    evaluations: 2,
    texts: textRows,
    neighbors: 1,
    thresholding: { kind: "none" },
    stochastic: false,
    multistep: false,
  };
  const loop = denoisingLoop(config, probe);
  checkLimits(gpu.traits.limits, compileGraph(loop, gpu.traits));
  // Those of the loop as built: a checkpoint also holds what the plan prunes, as the neighbours' tokens of a level that does not attend.
  const weights = await loadWeights(gpu, checkpoint, weightsOf(loop), options);
  return new Engine(gpu, config, tokenizer, storage, weights);
}

/** A loaded model. Generations run one after the other. */
export class Engine {
  readonly #weights: ReadonlyMap<string, GPUBuffer>;
  readonly #executors = new Map<string, Executor>();
  #queue: Promise<unknown> = Promise.resolve();
  #pending = 0;
  #disposed = false;

  constructor(
    readonly gpu: Gpu,
    readonly config: ModelConfig,
    readonly tokenizer: Tokenizer,
    readonly storage: "f32" | "f16",
    weights: ReadonlyMap<string, GPUBuffer>,
  ) {
    this.#weights = weights;
  }

  /** Draws. Throws `prompt`, `argument`, `picture`, `not-finite` or `aborted`; the engine stays usable. */
  generate(request: GenerationRequest, options: GenerateOptions = {}): Promise<Generated> {
    this.#pending++;
    const result = this.#queue
      .then(() => this.#generate(request, options))
      .finally(() => {
        this.#pending--;
        if (this.#disposed) this.#free();
      });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** The plan of a request's kind, as `explain` prints it. */
  plan(request: GenerationRequest): Plan {
    return compileGraph(denoisingLoop(this.config, this.#decide(request).shape), this.gpu.traits);
  }

  /** Frees every buffer of the model, at once or when the generation that is under way has stopped, which it does with `aborted`. The device itself belongs to `gpu`. */
  dispose(): void {
    this.#disposed = true;
    this.#free();
  }

  #free(): void {
    if (this.#pending > 0) return;
    for (const executor of this.#executors.values()) executor.dispose();
    this.#executors.clear();
    for (const buffer of this.#weights.values()) this.gpu.release(buffer);
  }

  async #generate(request: GenerationRequest, { onStep, onCompile, signal }: GenerateOptions): Promise<Generated> {
    const { shape, inputs, settings, warnings } = this.#decide(request);
    const executor = await this.#executor(shape, onCompile, signal);
    const generation = new Generation(this.gpu, this.config, executor, inputs);
    let previous = Promise.resolve();
    while (generation.step < generation.steps) {
      this.#checkAborted(signal, generation);
      generation.advance();
      // One step stays in flight while the next is prepared.
      const submitted = this.gpu.idle();
      await previous;
      previous = submitted;
      await onStep?.(generation.step, generation.steps, generation);
    }
    await previous;
    this.#checkAborted(signal, generation);
    await generation.values();
    const { size } = this.config;
    const pixels = await generation.read("picture");
    const pictures = inputs.seeds.map((_, i) => ({
      width: size,
      height: size,
      pixels: pixels.slice(i * size * size * 4, (i + 1) * size * size * 4),
    }));
    return { pictures, settings, warnings };
  }

  #checkAborted(signal: AbortSignal | undefined, generation: Generation): void {
    if (!signal?.aborted && !this.#disposed) return;
    const why = this.#disposed ? "ended, as its engine was disposed of," : "was aborted";
    throw new ReimagenError("aborted", `the generation ${why} after step ${generation.step} of ${generation.steps}`);
  }

  /** Everything about a request that does not need the device. */
  #decide(request: GenerationRequest): {
    shape: LoopShape;
    inputs: GenerationInputs;
    settings: SamplingSettings;
    warnings: string[];
  } {
    if (this.#disposed) throw new ReimagenError("argument", "this engine has been disposed of");
    const { neighbors = [], pictures = 1, prompt } = request;
    if (this.config.cond_channels)
      throw new ReimagenError(
        "config",
        "this model is a super-resolution stage: it needs a smaller picture to start from, and the engine draws base stages only",
      );
    if (neighbors.length > MAX_NEIGHBORS)
      throw new ReimagenError("argument", `at most ${MAX_NEIGHBORS} neighbours are possible, got ${neighbors.length}`);
    if (!Number.isInteger(pictures) || pictures < 1)
      throw new ReimagenError("argument", `pictures must be a positive integer, got ${pictures}`);
    if (prompt.trim() === "" && neighbors.length === 0)
      throw new ReimagenError("prompt", "there is nothing to draw: the prompt is empty and there are no neighbours");
    const settings = samplingSettings(request.settings ?? {});
    if (settings.variance === "learned_range")
      throw new ReimagenError(
        "argument",
        "learned_range needs a model that predicts the variance too, and this one does not",
      );
    const mode = modeFor(settings.guidance.mode, neighbors.length);
    const schedule = scheduleOf(this.config);
    const coefficients = stepCoefficients(schedule, this.config.prediction, settings);
    const seeds = Array.from({ length: pictures }, (_, i) => settings.seed + i);
    // A picture of a batch is the picture that its seed draws alone, also where the seed chooses the branch.
    const guidance = seeds.map((seed) => guidanceSteps({ ...settings.guidance, mode }, coefficients.length, seed));
    const warnings: string[] = [];
    const inputs: GenerationInputs = {
      prompt: this.#encode("prompt", prompt, warnings),
      empty: this.tokenizer.tokenize("", this.config.text_len),
      neighbors: neighbors.map(({ picture, caption }, i) => ({
        image: this.#image(picture, i),
        caption: this.#encode(`caption of neighbour ${i + 1}`, caption, warnings),
      })),
      seeds,
      coefficients,
      guidance,
      timestepUnit: schedule.kind === "cosine" ? 1 : 1 / 1000,
    };
    const shape: LoopShape = {
      storage: this.storage,
      pictures,
      evaluations: guidance.flat().some(({ base }) => base) ? 2 : 1,
      texts: textRows,
      neighbors: neighbors.length,
      thresholding: settings.thresholding,
      stochastic: coefficients.some(({ cn }) => cn !== 0),
      multistep: coefficients.some(({ c1 }) => c1 !== 0),
    };
    return { shape, inputs, settings, warnings };
  }

  #encode(what: string, text: string, warnings: string[]): EncodedText {
    const { ids, length, cut, unknown } = this.tokenizer.tokenize(text, this.config.text_len);
    if (cut)
      warnings.push(`the ${what} is longer than the model's ${this.config.text_len - 1} tokens; left out: "${cut}"`);
    if (unknown.length) warnings.push(`the ${what} has words that the model does not know: ${unknown.join(", ")}`);
    return { ids, length };
  }

  #image(picture: Picture, i: number): Float32Array {
    const { size } = this.config;
    if (picture.width !== size || picture.height !== size)
      throw new ReimagenError(
        "picture",
        `neighbour ${i + 1} must be ${size}x${size} pixels, got ${picture.width}x${picture.height}`,
      );
    return onWhite(picture);
  }

  async #executor(
    shape: LoopShape,
    onCompile?: (done: number, total: number) => void,
    signal?: AbortSignal,
  ): Promise<Executor> {
    const key = JSON.stringify(shape);
    let executor = this.#executors.get(key);
    if (!executor) {
      const plan = compileGraph(denoisingLoop(this.config, shape), this.gpu.traits);
      executor = await createExecutor(this.gpu, plan, this.#weights, {
        ...(onCompile && { onProgress: onCompile }),
        ...(signal && { signal }),
      });
    }
    // Most recently used last.
    this.#executors.delete(key);
    this.#executors.set(key, executor);
    for (const [oldest, unused] of this.#executors) {
      if (this.#executors.size <= KEPT_EXECUTORS) break;
      unused.dispose();
      this.#executors.delete(oldest);
    }
    return executor;
  }
}

// Without neighbours a neighbour-enhanced step would weigh two equal evaluations.
function modeFor(mode: GuidanceMode, neighbors: number): GuidanceMode {
  if (neighbors > 0) return mode;
  if (mode === "neighbor-only")
    throw new ReimagenError("argument", "neighbor-only guidance needs at least one neighbour, got none");
  return mode === "interleaved" ? "text-only" : mode;
}

function scheduleOf({ schedule }: ModelConfig): NoiseSchedule {
  return schedule === "cosine" ? cosineSchedule : discreteSchedule({ betaSchedule: schedule });
}
