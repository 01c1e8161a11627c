// The engine: a model on a device, and pictures from prompts and neighbours.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { Plan } from "../graph/compile.ts";
import type { Executor, ExecutorOptions } from "../graph/executor.ts";
import { weightsOf } from "../graph/graph.ts";
import type { ProfiledDispatch } from "../graph/profile.ts";
import type { TuneOptions } from "../graph/tune.ts";
import type { Tuning } from "../graph/tuning.ts";
import { openSafetensors } from "../io/safetensors.ts";
import type { ByteSource } from "../io/source.ts";
import { parseJson } from "../io/tokenizer-json.ts";
import { readWordPiece } from "../io/wordpiece.ts";
import { type ModelConfig, readConfig } from "../models/config.ts";
import { loadWeights } from "../models/weights.ts";
import { fitPictureKernel } from "../ops/fit_picture.ts";
import { endedEarly, type Generated, Generation } from "./generation.ts";
import { denoisingLoop } from "./loop.ts";
import { checkNeighbors } from "./neighbors.ts";
import { type ReimagenShape, reimagenModel } from "./reimagen.ts";
import { blankRequest, decide, type GenerationRequest, type ModelDefinition } from "./request.ts";
import { type Loadable, makeResident, type Resident } from "./resident.ts";

/** A checkpoint folder's files, wherever they lie. */
export interface ModelFiles {
  /** For messages. */
  readonly name: string;
  /** Text of `config.json`. */
  readonly config: string;
  /** Text of `tokenizer.json`. */
  readonly tokenizer: string;
  /** Opens `model.safetensors`: when the engine is created, and again should its device be lost; the engine closes it each time. */
  weights(signal?: AbortSignal): Promise<ByteSource>;
}

/** Options of `createEngine`. */
export interface EngineOptions {
  /** Storage of activations and weights; sums are always f32. Default f32. */
  readonly storage?: "f32" | "f16";
  /** Of matrices and kernels: `q8` keeps them in 8 bits, with a factor for each 32 inputs, made as they are loaded. Default: as `storage`. */
  readonly weights?: "f32" | "f16" | "q8";
  /** What `tune` measured earlier on this adapter: kernels are chosen by it. */
  readonly tuning?: Tuning;
  /** Called with bytes of the weights loaded so far and in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Options of `start`. */
export interface StartOptions {
  /** Called as kernels for this kind of request are compiled, where they are not yet. */
  readonly onCompile?: (done: number, total: number) => void;
  /** Ends the generation with `aborted` at its next step. */
  readonly signal?: AbortSignal;
}

/** Options of `generate`. */
export interface GenerateOptions extends StartOptions {
  /** Called after each step with the number of steps done and in all, and the generation, to look at. */
  readonly onStep?: (done: number, total: number, generation: Generation) => void | Promise<void>;
}

/**
 * Loads a model onto a device. Throws `config`, `checkpoint`, `tensor`, `dtype`, `not-finite`, `limit`, `device-lost` or `aborted`, and
 * leaves nothing behind.
 */
export async function createEngine(gpu: Gpu, files: ModelFiles, options: EngineOptions = {}): Promise<Engine> {
  const { config, tokenizer } = readDefinition(files);
  if (tokenizer.vocabularySize > config.vocab)
    throw new ReimagenError(
      "config",
      `${files.name}: the tokenizer has ${tokenizer.vocabularySize} words, but the config's vocab is ${config.vocab}`,
    );
  const definition = { config, tokenizer, ...storageOf(options) };
  const resident = await makeResident(gpu, loadableOf(gpu, files, definition), options);
  return new Engine(gpu, definition, resident);
}

/** The parts of a definition that the options decide. */
function storageOf({ storage = "f32", weights }: EngineOptions): Pick<ModelDefinition, "storage" | "weights"> {
  return weights ? { storage, weights } : { storage };
}

/** How many neighbours a request usually has. */
const usualNeighbors = 2;

/** What a checkpoint folder says of its model beside the weights. Throws `config`. */
export function readDefinition({
  name,
  config,
  tokenizer,
}: Pick<ModelFiles, "name" | "config" | "tokenizer">): Pick<ModelDefinition, "config" | "tokenizer"> {
  const file = `${name}/tokenizer.json`;
  return {
    config: readConfig(`${name}/config.json`, config),
    tokenizer: readWordPiece(file, parseJson(file, tokenizer)),
  };
}

function loadableOf(gpu: Gpu, files: ModelFiles, definition: ModelDefinition): Loadable<ReimagenShape> {
  const { config } = definition;
  const usual = decide(definition, blankRequest({ k: usualNeighbors, settings: {}, pictures: 1 }, config)).shape;
  const graph = (shape: ReimagenShape) => denoisingLoop(reimagenModel(config, shape), shape);
  return {
    graph,
    usual,
    async load(options) {
      if (config.neighbors) gpu.compileAhead([fitPictureKernel]);
      const source = await files.weights(options.signal);
      try {
        const checkpoint = await openSafetensors(source, options.signal);
        // Those of the loop as built: a checkpoint also holds what the plan prunes, as the neighbours' tokens of a level that does not attend.
        return await loadWeights(gpu, checkpoint, weightsOf(graph(usual)), options);
      } finally {
        await source.close?.();
      }
    },
  };
}

/** A loaded model. */
export class Engine {
  readonly #definition: ModelDefinition;
  readonly #resident: Resident<ReimagenShape>;
  readonly #generations = new Set<Generation>();
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** For `createEngine`. */
  constructor(
    readonly gpu: Gpu,
    definition: ModelDefinition,
    resident: Resident<ReimagenShape>,
  ) {
    this.#definition = definition;
    this.#resident = resident;
  }

  get config(): ModelConfig {
    return this.#definition.config;
  }

  /**
   * Draws; several calls are served one after the other. When a device of our own is lost, goes on from the last step on a new one. Throws
   * `prompt`, `argument`, `picture`, `limit`, `not-finite`, `aborted` or, on an adopted device, `device-lost`; the engine stays usable.
   */
  generate(request: GenerationRequest, { onStep, ...options }: GenerateOptions = {}): Promise<Generated> {
    const result = this.#queue.then(async () => {
      const generation = await this.start(request, options);
      try {
        for await (const { step, steps } of generation) await onStep?.(step, steps, generation);
        return await generation.finish();
      } finally {
        generation.dispose();
      }
    });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /**
   * Prepares a generation for the caller to run, in a loop of its own or frame by frame; several may be in progress at once, each with
   * its own memory. Throws what `generate` throws.
   */
  async start(request: GenerationRequest, options: StartOptions = {}): Promise<Generation> {
    this.#checkUsable();
    const decision = decide(this.#definition, request);
    const steps = decision.inputs.coefficients.length;
    const check = () => {
      if (this.#disposed) throw endedEarly("engine", 0, steps);
      if (options.signal?.aborted) throw endedEarly("signal", 0, steps);
    };
    const borrow = async () => {
      let executor: Executor | undefined;
      try {
        executor = await this.#resident.borrow(decision.shape, executorOptions(options));
        check();
        return executor;
      } catch (error) {
        executor?.dispose();
        // What fails because the engine was disposed of meanwhile fails for that reason.
        check();
        throw error;
      }
    };
    check();
    const images = (request.neighbors ?? []).map(({ picture }) => picture);
    checkNeighbors(this.gpu, images);
    const host = {
      gpu: this.gpu,
      model: reimagenModel(this.config, decision.shape),
      borrow,
      giveBack: (executor: Executor, generation: Generation) => {
        this.#generations.delete(generation);
        this.#resident.giveBack(executor);
      },
    };
    const generation = new Generation(host, await borrow(), decision, options.signal);
    this.#generations.add(generation);
    try {
      await generation.prepare(images, this.config.size);
      return generation;
    } catch (error) {
      generation.dispose();
      throw error;
    }
  }

  /** What the user should know of a request before it is drawn: text that will be cut, words that the model does not know. Throws `prompt`, `argument`. */
  warnings(request: GenerationRequest): readonly string[] {
    return decide(this.#definition, request).warnings;
  }

  /** The plan of a request's kind, as `explain` prints it. Throws what `warnings` throws. */
  plan(request: GenerationRequest): Plan {
    this.#checkUsable();
    return this.#resident.plan(decide(this.#definition, request).shape);
  }

  /** Runs the first step of a request dispatch by dispatch, and says how long each takes. Throws what `generate` throws. */
  async profile(request: GenerationRequest, options: StartOptions = {}): Promise<ProfiledDispatch[]> {
    // Few pages measure; the others do without the code for it.
    const { profileStage } = await import("../graph/profile.ts");
    const generation = await this.start(request, options);
    try {
      // The first round meets cold caches.
      await generation.measure((executor, stage) => profileStage(this.gpu, executor, stage));
      const { step } = await generation.measure((executor, stage) => profileStage(this.gpu, executor, stage));
      return step;
    } finally {
      generation.dispose();
    }
  }

  /**
   * Measures every kernel that could serve such a request, and henceforth chooses by what it found: which kernel is fastest differs from
   * adapter to adapter and from shape to shape. What was measured before (`EngineOptions.tuning`, earlier calls) is not measured again.
   * Resolves to all measurements, to be kept for this adapter. Throws what `generate` throws.
   */
  async tune(request: GenerationRequest, options: TuneOptions = {}): Promise<Tuning> {
    const { tuneStage } = await import("../graph/tune.ts");
    const generation = await this.start(request, options.signal ? { signal: options.signal } : {});
    try {
      const resident = this.#resident;
      const tuning = new Map(resident.tuning);
      await generation.measure((executor, stage) => tuneStage(this.gpu, executor, stage, tuning, options));
      if (tuning.size > resident.tuning.size) resident.tuning = tuning;
      return resident.tuning;
    } finally {
      generation.dispose();
    }
  }

  /** Frees every buffer of the model at once; a generation in progress ends with `aborted`. The device itself belongs to `gpu`. */
  dispose(): void {
    this.#disposed = true;
    for (const generation of this.#generations) generation.disposeWithEngine();
    this.#resident.dispose();
  }

  #checkUsable(): void {
    if (this.#disposed) throw new ReimagenError("argument", "this engine has been disposed of");
  }
}

function executorOptions({ onCompile, signal }: StartOptions): ExecutorOptions {
  return { ...(onCompile && { onProgress: onCompile }), ...(signal && { signal }) };
}
