// Pipelines of public models: from a prompt to pictures by a text encoder, a U-Net and a decoder, on the device one after the other.
import { ReimagenError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Executor, ExecutorOptions } from "../../graph/executor.ts";
import type { Folder } from "../../io/folder.ts";
import type { Picture } from "../../io/picture.ts";
import type { Tokenizer } from "../../io/tokens.ts";
import type { VaeConfig } from "../../models/diffusers/vae_config.ts";
import { loadKernelsFor } from "../../ops/lazy_kernels.ts";
import { type Generated, Generation } from "../generation.ts";
import type { Resident } from "../resident.ts";
import { decodeLatent } from "./decode.ts";
import { type PipelineDefinition, readPipeline, type TextConfig, textWidth } from "./definition.ts";
import { type PlannedPart, planPart, type Storage } from "./memory.ts";
import { type NeighborShape, neighborLatents, neighborPixels } from "./neighbors.ts";
import { decoderPart, encoderPart, type LatentShape, type Part, type TextShape, textPart, unetPart } from "./parts.ts";
import { type Bounds, type DrawingPlan, isCut, planDrawing, plannedParts, textChoice, tileWarnings } from "./plan.ts";
import { decidePipeline, type PipelineDecision, type PipelineRequest, pixelsPerValue } from "./request.ts";
import { runOnce } from "./run-once.ts";
import { openSlot, prepareSlot, type Slot, withSlot } from "./slot.ts";
import { firstTexts, openWords, prepareTexts, type TextStates, tokensOf } from "./text.ts";
import { borrowTiled, giveBack, tileShape } from "./tiled-unet.ts";
import { type Tiling, tilingOf } from "./tiles.ts";
import { textRows, type UnetShape, unetConditions, unetModel } from "./unet-model.ts";

/** Options of `openPipeline`. */
export interface PipelineOptions {
  /** Storage of activations; sums are always f32. Default f32. */
  readonly storage?: "f32" | "f16";
  /** Storage of matrices and convolution kernels, the decoder's aside; `q8`: 8 bits in blocks of 32. Default: `q8` for a part that is written so, else as `storage`. */
  readonly weights?: "f32" | "f16" | "q8";
  /** Whether the parts stay on the device from one request to the next; else there is never more than one of them. Default false. */
  readonly keep?: boolean;
  /** Bytes that may be on the device at a time, 8 MiB aside that weights are brought there through; what needs more is refused before it is loaded, or done in tiles. Default: whatever the device's limits let through. */
  readonly memory?: number;
  /** Side, in pixels, of the tiles in which pictures are decoded and upscaled. Default: whole where that fits, else the largest tiles that do. */
  readonly tile?: number;
  /** The stage before. A second stage of DeepFloyd IF has its texts from the first, and its own text encoder need not be there. */
  readonly after?: Pipeline;
  readonly signal?: AbortSignal;
}

/** Options of a pipeline's `generate`. */
export interface PipelineGenerateOptions {
  /** Called before anything is loaded with what each part will need on the device. */
  readonly onPlan?: (pipeline: string, parts: readonly PlannedPart[]) => void;
  /** Called with bytes of a part's weights loaded so far and in all. */
  readonly onLoad?: (part: string, loaded: number, total: number) => void;
  /** Called as a part's kernels are compiled. */
  readonly onCompile?: (part: string, done: number, total: number) => void;
  /** Called after each step with the number of steps done and in all, and the generation, to look at where it draws pixels. */
  readonly onStep?: (done: number, total: number, generation: Generation) => void | Promise<void>;
  /** Ends it with `aborted` at the next step or part. */
  readonly signal?: AbortSignal;
}

/** Finished pictures, also as an upscaler takes them. */
export type PipelineResult = Generated;

/**
 * Opens a pipeline's folder: reads its configs, its tokenizer and the headers of its checkpoints, all of which must fit each other; weights are
 * read when they are needed. Throws `checkpoint`, `config`, `tensor`, `dtype` naming the file, `aborted`; nothing is on the device yet.
 */
export async function openPipeline(gpu: Gpu, folder: Folder, options: PipelineOptions = {}): Promise<Pipeline> {
  const { signal, after } = options;
  const definition = await readPipeline(folder, signal);
  // Plans are made before anything else is on the device.
  await loadKernelsFor(gpu.traits);
  const { text, unet, vae, noising } = definition;
  const wanted = { activations: options.storage ?? "f32", weights: options.weights } as const;
  const slot = <Shape>(make: (storage: Storage) => Part<Shape>, until = signal) =>
    openSlot(folder, make, wanted, until);
  const textOf = sharesText(definition, after) ? after : undefined;
  const reader = async () => {
    if (!text)
      throw new ReimagenError("config", `${folder.name} has no text encoder: it needs that of its first stage`);
    return { text, words: await openWords(folder, text, signal), encoder: await slot((as) => textPart(text, as)) };
  };
  return new Pipeline(gpu, definition, {
    reader: textOf ?? (await reader()),
    unet: await slot((as) => unetPart(unet, Boolean(noising), as)),
    decoder: vae && { vae, slot: await slot((as) => decoderPart(vae, as)) },
    encoder: vae && ((until) => slot((as) => encoderPart(vae, as), until)),
    bounds: { keep: options.keep ?? false, memory: options.memory, tile: options.tile },
  });
}

function sharesText({ name, class: kind, unet }: PipelineDefinition, after?: Pipeline): boolean {
  if (kind !== "IFSuperResolutionPipeline" || after?.definition.class !== "IFPipeline") return false;
  const { text, name: first } = after.definition;
  if (text && textWidth(text) === unet.text.inputs) return true;
  throw new ReimagenError("config", `${name} reads texts of ${unet.text.inputs} channels, unlike ${first}`);
}

/** What reads a pipeline's texts. */
interface Reader {
  readonly text: TextConfig;
  readonly words: Tokenizer;
  readonly encoder: Slot<TextShape>;
}

/** What `openPipeline` found. */
interface Contents {
  readonly reader: Reader | Pipeline;
  readonly unet: Slot<UnetShape>;
  readonly decoder: { readonly vae: VaeConfig; readonly slot: Slot<LatentShape> } | undefined;
  /** Opens what makes latents of neighbours; drawing without them does without it. */
  readonly encoder: ((signal: AbortSignal | undefined) => Promise<Slot<LatentShape>>) | undefined;
  readonly bounds: Bounds;
}

/** So many steps before the last one the decoder is begun with. */
const stepsAhead = 2;

/** A pipeline whose files have been found to be in order. */
export class Pipeline {
  readonly #contents: Contents;
  /** The texts that were encoded last: another picture of the same prompt, or the next stage, needs no text encoder. */
  #encoded: { readonly texts: readonly string[]; readonly states: TextStates } | undefined;
  #encoder: Slot<LatentShape> | undefined;
  #generation: Generation | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #disposed = false;

  /** For `openPipeline`. */
  constructor(
    readonly gpu: Gpu,
    readonly definition: PipelineDefinition,
    contents: Contents,
  ) {
    this.#contents = contents;
  }

  /**
   * Draws; several calls are served one after the other. A part that the device cannot hold is refused before it is loaded; when a device of
   * our own is lost, goes on from the last step on a new one. Throws `prompt`, `argument`, `picture`, `shape`, `limit`, `not-finite`, `checkpoint`, `aborted`
   * or, on an adopted device, `device-lost`; the pipeline stays usable.
   */
  generate(request: PipelineRequest, options: PipelineGenerateOptions = {}): Promise<PipelineResult> {
    const { unet, decoder } = this.#contents;
    const result = this.#queue
      .then(() => this.#draw(request, options))
      .finally(() => {
        // Where it ended early, the next part has been begun with in vain.
        unet.checkpoint.drop();
        decoder?.slot.checkpoint.drop();
      });
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** What its text encoder makes of a prompt, of what it is guided away from, and of captions. Throws what `generate` throws. */
  encode(
    prompt: string,
    negative: string,
    options: PipelineGenerateOptions = {},
    captions: readonly string[] = [],
  ): Promise<TextStates> {
    return this.#encode([prompt, negative, ...captions], options, () => undefined);
  }

  /** `meanwhile` is called when the text encoder is on the device, about to run. */
  async #encode(
    texts: readonly string[],
    options: PipelineGenerateOptions,
    meanwhile: () => void,
  ): Promise<TextStates> {
    const { reader } = this.#contents;
    if (reader instanceof Pipeline) return reader.#encode(texts, options, meanwhile);
    const known = this.#encoded;
    if (known && texts.every((text, row) => text === known.texts[row])) return firstTexts(known.states, texts.length);
    const { ids, table, tokens, warnings } = prepareTexts(reader.words, reader.text, texts);
    const shape = { texts: texts.length, tokens };
    const inputs = new Map([
      ["ids", ids],
      ["table", table],
    ]);
    const { storage } = reader.encoder;
    planPart(
      textChoice(this.definition.name, { config: reader.text, storage }, texts.length),
      this.gpu.traits,
      this.#contents.bounds.memory,
    );
    const [states] = await this.#with(reader.encoder, options, (resident, compiling) => {
      meanwhile();
      return runOnce(this.gpu, resident, shape, inputs, ["states"], compiling);
    });
    this.#encoded = { texts, states: { states: states as Float32Array<ArrayBuffer>, tokens, warnings } };
    return this.#encoded.states;
  }

  /** Frees what is on the device; what is being drawn ends with `aborted`. */
  dispose(): void {
    this.#disposed = true;
    this.#generation?.disposeWithEngine();
    const { reader, unet, decoder } = this.#contents;
    for (const slot of [reader instanceof Pipeline ? undefined : reader.encoder, this.#encoder, unet, decoder?.slot])
      if (slot) {
        slot.resident?.dispose();
        slot.checkpoint.drop();
      }
  }

  /**
   * What each part will need on the device, and the size of the pictures, without loading anything. Throws what `generate` throws of a request that
   * cannot be drawn.
   */
  plan(request: PipelineRequest): { parts: readonly PlannedPart[]; pictures: number; width: number; height: number } {
    const { shape, plan } = this.#decide(request);
    const scale = pixelsPerValue(this.definition);
    const { pictures, width, height } = shape;
    return { parts: plannedParts(plan), pictures, width: width * scale, height: height * scale };
  }

  #decide(request: PipelineRequest): PipelineDecision & { plan: DrawingPlan } {
    const { reader, unet, decoder, bounds } = this.#contents;
    const decision = decidePipeline(this.definition, request, this.#tokens, unet.storage);
    const text = reader instanceof Pipeline ? undefined : { config: reader.text, storage: reader.encoder.storage };
    const storages = { text, unet: unet.storage, decoder: decoder?.slot.storage };
    return { ...decision, plan: planDrawing(this.definition, decision.shape, storages, this.gpu.traits, bounds) };
  }

  async #draw(request: PipelineRequest, options: PipelineGenerateOptions): Promise<PipelineResult> {
    this.#check(options);
    const decision = this.#decide(request);
    const { settings, shape, plan } = decision;
    options.onPlan?.(this.definition.name, plannedParts(plan));
    const { unet, decoder } = this.#contents;
    const { neighbors = [], prompt, negative = "" } = request;
    // Before anything is loaded, as a picture may be broken.
    const pixels = shape.neighbors && (await neighborPixels(this.gpu, neighbors, shape.neighbors, this.definition));
    const captions = neighbors.map(({ caption }) => caption);
    const text = await this.#encode([prompt, negative, ...captions], options, () =>
      prepareSlot(this.gpu, unet, plan.unet.graphs),
    );
    this.#check(options);
    const samples = pixels && (await this.#encodePictures(pixels, shape.neighbors!, options));
    this.#check(options);
    const { replaced } = this.definition;
    const warnings = [
      ...text.warnings.flat(),
      ...(replaced && !request.sampler ? [replaced] : []),
      ...tileWarnings(plan, this.#contents.bounds, pixelsPerValue(this.definition)),
    ];
    const drawn = await this.#denoise(decision, request, text, samples, warnings, options);
    this.#check(options);
    const { pictures, values } = decoder
      ? await this.#decode(decoder, drawn.values, shape, plan.decoder?.tiling, options)
      : drawn;
    const { width, height } = pictures[0]!;
    return { pictures, values: { width, height, values }, settings, warnings };
  }

  get #tokens(): number {
    const { reader } = this.#contents;
    return reader instanceof Pipeline ? reader.#tokens : tokensOf(reader.text);
  }

  async #denoise(
    decision: PipelineDecision & { plan: DrawingPlan },
    { low }: PipelineRequest,
    { states }: TextStates,
    samples: Float32Array<ArrayBuffer> | undefined,
    warnings: readonly string[],
    options: PipelineGenerateOptions,
  ): Promise<{ pictures: readonly Picture[]; values: Float32Array<ArrayBuffer> }> {
    const { shape, settings, seeds, coefficients, guidance, noiseLevel, schedule, neighborTime, plan } = decision;
    const { unet, noising } = this.definition;
    const noised = low && noising && { pictures: low, schedule: noising.schedule, level: noiseLevel };
    const prompts = textRows * shape.tokens * unet.text.inputs;
    const neighbors = samples && { samples, text: states.subarray(prompts), schedule, time: neighborTime };
    const seen = isCut(plan.unet.tiling) ? tileShape(shape, plan.unet.tiling) : shape;
    const conditions = unetConditions(unet, seen, {
      text: states.subarray(0, prompts),
      seeds,
      ...(noised && { low: noised }),
      ...(neighbors && { neighbors }),
    });
    const inputs = { conditions, seeds, coefficients, guidance };
    const { tiling } = plan.unet;
    return this.#with(this.#contents.unet, options, async (resident, compiling) => {
      const model = unetModel(unet, shape);
      const borrow = () =>
        isCut(tiling)
          ? borrowTiled(this.gpu, resident, unet, shape, tiling, compiling)
          : resident.borrow(shape, compiling);
      const host = { gpu: this.gpu, model, borrow, giveBack: (executor: Executor) => giveBack(resident, executor) };
      const generation = new Generation(host, await borrow(), { shape, inputs, settings, warnings }, options.signal);
      this.#generation = generation;
      try {
        await generation.prepare([]);
        const { decoder } = this.#contents;
        for await (const { step, steps } of generation) {
          if (decoder && step === Math.max(1, steps - stepsAhead))
            prepareSlot(this.gpu, decoder.slot, plan.decoder?.graphs ?? []);
          await options.onStep?.(step, steps, generation);
        }
        const values = await generation.values();
        return { pictures: model.visible ? await generation.read("picture") : [], values };
      } finally {
        this.#generation = undefined;
        generation.dispose();
      }
    });
  }

  /** Neighbours as the U-Net draws them: the pixels themselves, or latents. */
  async #encodePictures(
    pixels: Float32Array<ArrayBuffer>,
    shape: NeighborShape,
    options: PipelineGenerateOptions,
  ): Promise<Float32Array<ArrayBuffer>> {
    const { vae } = this.definition;
    this.#encoder ??= await this.#contents.encoder?.(options.signal);
    if (!vae || !this.#encoder) return pixels;
    return this.#with(this.#encoder, options, (resident, compiling) =>
      neighborLatents(this.gpu, resident, pixels, shape, vae, compiling),
    );
  }

  /** One picture after the other: they are large. */
  #decode(
    { vae, slot }: NonNullable<Contents["decoder"]>,
    drawn: Float32Array<ArrayBuffer>,
    { pictures: count, height, width }: UnetShape,
    tiling: Tiling = tilingOf(height, width, Math.max(height, width)),
    options: PipelineGenerateOptions,
  ): Promise<{ pictures: readonly Picture[]; values: Float32Array<ArrayBuffer> }> {
    const latents = drawn.map((value) => value / vae.scale + vae.shift);
    const shape = { height: tiling.rows.length, width: tiling.columns.length };
    return this.#with(slot, options, async (resident, compiling) => {
      const run = (latent: Float32Array<ArrayBuffer>) => {
        this.#check(options);
        return runOnce(this.gpu, resident, shape, new Map([["latents", latent]]), ["values", "picture"], compiling);
      };
      const pictures: Picture[] = [];
      const each = latents.length / count;
      const size = height * width * pixelsPerValue({ vae }) ** 2 * 3;
      const values = new Float32Array(count * size);
      for (let i = 0; i < count; i++) {
        const latent = latents.slice(i * each, (i + 1) * each);
        const decoded = await decodeLatent(latent, tiling, pixelsPerValue({ vae }), run);
        values.set(decoded.values, i * size);
        pictures.push(decoded.picture);
      }
      return { pictures, values };
    });
  }

  #with<Shape, T>(
    slot: Slot<Shape>,
    options: PipelineGenerateOptions,
    use: (resident: Resident<Shape>, compiling: ExecutorOptions) => Promise<T>,
  ): Promise<T> {
    const keep = () => this.#contents.bounds.keep && !this.#disposed;
    return withSlot(this.gpu, slot, keep, options, (resident, compiling) => {
      // Disposed of meanwhile, the pipeline did not know of this part.
      if (this.#disposed) throw disposed();
      return use(resident, compiling);
    });
  }

  #check({ signal }: PipelineGenerateOptions): void {
    if (this.#disposed) throw disposed();
    if (signal?.aborted) throw new ReimagenError("aborted", "the generation was aborted");
  }
}

function disposed(): ReimagenError {
  return new ReimagenError("aborted", "the pipeline has been disposed of");
}
