// Pipelines of public models: from a prompt to pictures by a text encoder, a U-Net and a decoder, on the device one after the other.
import { ReimagenError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { Executor, ExecutorOptions } from "../../graph/executor.ts";
import type { Folder } from "../../io/folder.ts";
import { type Picture, picturesOf } from "../../io/picture.ts";
import { hasQuantized } from "../../io/quantized.ts";
import type { Safetensors } from "../../io/safetensors.ts";
import type { Tokenizer } from "../../io/tokens.ts";
import type { VaeConfig } from "../../models/diffusers/vae_config.ts";
import { type Generated, Generation } from "../generation.ts";
import { makeResident, type Resident } from "../resident.ts";
import { type PipelineDefinition, readPipeline, type TextConfig, textWidth } from "./definition.ts";
import { checkFits, type Storage } from "./memory.ts";
import {
  decoderPart,
  type LatentShape,
  loadablePart,
  openPart,
  type Part,
  type TextShape,
  textPart,
  unetPart,
} from "./parts.ts";
import {
  decidePipeline,
  type LowPictures,
  type PipelineDecision,
  type PipelineRequest,
  pixelsPerValue,
} from "./request.ts";
import { runOnce } from "./run-once.ts";
import { openWords, prepareTexts, type TextStates, tokensOf } from "./text.ts";
import { textRows, type UnetShape, unetConditions, unetModel } from "./unet-model.ts";

/** Options of `openPipeline`. */
export interface PipelineOptions {
  /** Storage of activations; sums are always f32. Default f32. */
  readonly storage?: "f32" | "f16";
  /** Storage of matrices and convolution kernels, the decoder's aside; `q8`: 8 bits in blocks of 32. Default: `q8` for a part that is written so, else as `storage`. */
  readonly weights?: "f32" | "f16" | "q8";
  /** Whether the parts stay on the device from one request to the next; else there is never more than one of them. Default false. */
  readonly keep?: boolean;
  /** The stage before. A second stage of DeepFloyd IF has its texts from the first, and its own text encoder need not be there. */
  readonly after?: Pipeline;
  readonly signal?: AbortSignal;
}

/** Options of a pipeline's `generate`. */
export interface PipelineGenerateOptions {
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
export interface PipelineResult extends Generated {
  readonly values: LowPictures;
}

/** A part with its checkpoint, and where it is if it is on the device. */
interface Slot<Shape> {
  readonly make: (storage: Storage) => Part<Shape>;
  readonly checkpoint: Safetensors;
  readonly storage: Storage;
  resident: Resident<Shape> | undefined;
}

/**
 * Opens a pipeline's folder: reads its configs, its tokenizer and the headers of its checkpoints, all of which must fit each other; weights are
 * read when they are needed. Throws `checkpoint`, `config`, `tensor`, `dtype` naming the file, `aborted`; nothing is on the device yet.
 */
export async function openPipeline(gpu: Gpu, folder: Folder, options: PipelineOptions = {}): Promise<Pipeline> {
  const { signal, after } = options;
  const definition = await readPipeline(folder, signal);
  const { text, unet, vae, noising } = definition;
  const activations = options.storage ?? "f32";
  const slot = async <Shape>(make: (storage: Storage) => Part<Shape>): Promise<Slot<Shape>> => {
    const checkpoint = await openPart(folder, make({ activations, weights: activations }), signal);
    const written = hasQuantized(checkpoint) ? "q8" : activations;
    return { make, checkpoint, storage: { activations, weights: options.weights ?? written }, resident: undefined };
  };
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
    keep: options.keep ?? false,
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
  readonly keep: boolean;
}

/** A pipeline whose files have been found to be in order. */
export class Pipeline {
  readonly #contents: Contents;
  /** The texts that were encoded last: another picture of the same prompt, or the next stage, needs no text encoder. */
  #encoded: { readonly key: string; readonly states: TextStates } | undefined;
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
   * our own is lost, goes on from the last step on a new one. Throws `prompt`, `argument`, `shape`, `limit`, `not-finite`, `checkpoint`, `aborted`
   * or, on an adopted device, `device-lost`; the pipeline stays usable.
   */
  generate(request: PipelineRequest, options: PipelineGenerateOptions = {}): Promise<PipelineResult> {
    const result = this.#queue.then(() => this.#draw(request, options));
    this.#queue = result.catch(() => undefined);
    return result;
  }

  /** What its text encoder makes of a prompt, and of what it is guided away from. Throws what `generate` throws. */
  async encode(prompt: string, negative: string, options: PipelineGenerateOptions = {}): Promise<TextStates> {
    const { reader } = this.#contents;
    if (reader instanceof Pipeline) return reader.encode(prompt, negative, options);
    const key = JSON.stringify([prompt, negative]);
    if (this.#encoded?.key === key) return this.#encoded.states;
    const { ids, table, tokens, warnings } = prepareTexts(reader.words, reader.text, prompt, negative);
    const shape = { texts: textRows, tokens };
    const inputs = new Map([
      ["ids", ids],
      ["table", table],
    ]);
    const [states] = await this.#with(reader.encoder, shape, options, (resident, compiling) =>
      runOnce(this.gpu, resident, shape, inputs, ["states"], compiling),
    );
    this.#encoded = { key, states: { states: states as Float32Array<ArrayBuffer>, tokens, warnings } };
    return this.#encoded.states;
  }

  /** Frees what is on the device; what is being drawn ends with `aborted`. */
  dispose(): void {
    this.#disposed = true;
    this.#generation?.disposeWithEngine();
    const { reader, unet, decoder } = this.#contents;
    for (const slot of [reader instanceof Pipeline ? undefined : reader.encoder, unet, decoder?.slot])
      slot?.resident?.dispose();
  }

  async #draw(request: PipelineRequest, options: PipelineGenerateOptions): Promise<PipelineResult> {
    this.#check(options);
    const decision = decidePipeline(this.definition, request, this.#tokens, this.#contents.unet.storage);
    const text = await this.encode(request.prompt, request.negative ?? "", options);
    this.#check(options);
    const { settings, shape } = decision;
    const { replaced } = this.definition;
    const warnings = [...text.warnings, ...(replaced && !request.sampler ? [replaced] : [])];
    const drawn = await this.#denoise(decision, request, text, warnings, options);
    this.#check(options);
    const { decoder } = this.#contents;
    const { pictures, values } = decoder ? await this.#decode(decoder, drawn.values, shape, options) : drawn;
    const { width, height } = pictures[0]!;
    return { pictures, values: { width, height, values }, settings, warnings };
  }

  get #tokens(): number {
    const { reader } = this.#contents;
    return reader instanceof Pipeline ? reader.#tokens : tokensOf(reader.text);
  }

  async #denoise(
    { shape, settings, seeds, coefficients, guidance, noiseLevel }: PipelineDecision,
    { low }: PipelineRequest,
    text: TextStates,
    warnings: readonly string[],
    options: PipelineGenerateOptions,
  ): Promise<{ pictures: readonly Picture[]; values: Float32Array<ArrayBuffer> }> {
    const { unet, noising } = this.definition;
    const noised = low && noising && { values: low.values, schedule: noising.schedule, level: noiseLevel };
    const conditions = unetConditions(unet, shape, { text: text.states, seeds, ...(noised && { low: noised }) });
    const inputs = { conditions, seeds, coefficients, guidance };
    return this.#with(this.#contents.unet, shape, options, async (resident, compiling) => {
      const model = unetModel(unet, shape);
      const borrow = () => resident.borrow(shape, compiling);
      const giveBack = (executor: Executor) => resident.giveBack(executor);
      const host = { gpu: this.gpu, model, borrow, giveBack };
      const generation = new Generation(host, await borrow(), { shape, inputs, settings, warnings }, options.signal);
      this.#generation = generation;
      try {
        await generation.prepare([]);
        for await (const { step, steps } of generation) await options.onStep?.(step, steps, generation);
        const values = await generation.values();
        return { pictures: model.visible ? await generation.read("picture") : [], values };
      } finally {
        this.#generation = undefined;
        generation.dispose();
      }
    });
  }

  /** One picture after the other: they are large. */
  #decode(
    { vae, slot }: NonNullable<Contents["decoder"]>,
    drawn: Float32Array<ArrayBuffer>,
    { pictures: count, height, width }: UnetShape,
    options: PipelineGenerateOptions,
  ): Promise<{ pictures: readonly Picture[]; values: Float32Array<ArrayBuffer> }> {
    const latents = drawn.map((value) => value / vae.scale + vae.shift);
    const shape = { height, width };
    const scale = pixelsPerValue({ vae });
    const extent = { height: height * scale, width: width * scale };
    const size = extent.height * extent.width * 3;
    return this.#with(slot, shape, options, async (resident, compiling) => {
      const pictures: Picture[] = [];
      const values = new Float32Array(count * size);
      for (let i = 0; i < count; i++) {
        this.#check(options);
        const each = latents.length / count;
        const inputs = new Map([["latents", latents.slice(i * each, (i + 1) * each)]]);
        const [decoded, words] = await runOnce(this.gpu, resident, shape, inputs, ["values", "picture"], compiling);
        checkFinite(decoded!);
        values.set(decoded!, i * size);
        pictures.push(...picturesOf(words!, extent));
      }
      return { pictures, values };
    });
  }

  /** Runs `use` with a part on the device: it is loaded before, and freed afterwards unless parts are kept. */
  async #with<Shape, T>(
    slot: Slot<Shape>,
    shape: Shape,
    { onLoad, onCompile, signal }: PipelineGenerateOptions,
    use: (resident: Resident<Shape>, compiling: ExecutorOptions) => Promise<T>,
  ): Promise<T> {
    const part = slot.make(slot.storage);
    if (!slot.resident) {
      const name = `${this.definition.name}/${part.name}`;
      checkFits(name, (storage) => slot.make(storage).graph(shape), slot.storage, this.gpu.traits);
    }
    slot.resident ??= await makeResident(this.gpu, loadablePart(this.gpu, slot.checkpoint, part), {
      ...(signal && { signal }),
      ...(onLoad && { onProgress: (loaded, total) => onLoad(part.name, loaded, total) }),
    });
    const resident = slot.resident;
    try {
      // Disposed of meanwhile, the pipeline did not know of this part.
      if (this.#disposed) throw disposed();
      return await use(resident, {
        ...(signal && { signal }),
        ...(onCompile && { onProgress: (done, total) => onCompile(part.name, done, total) }),
      });
    } finally {
      if (!this.#contents.keep || this.#disposed) {
        resident.dispose();
        slot.resident = undefined;
      }
    }
  }

  #check({ signal }: PipelineGenerateOptions): void {
    if (this.#disposed) throw disposed();
    if (signal?.aborted) throw new ReimagenError("aborted", "the generation was aborted");
  }
}

function disposed(): ReimagenError {
  return new ReimagenError("aborted", "the pipeline has been disposed of");
}

function checkFinite(values: Float32Array | Uint32Array): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new ReimagenError("not-finite", `the decoded picture has ${values[at]} at value ${at}`);
}

/** Draws with a first stage, and enlarges with one upscaler after the other; the size is the first stage's. Throws what `generate` throws. */
export async function generateCascade(
  [first, ...upscalers]: readonly [Pipeline, ...Pipeline[]],
  request: PipelineRequest,
  options: PipelineGenerateOptions = {},
): Promise<PipelineResult> {
  const { size, low: _, ...shared } = request;
  let result = await first.generate(request, options);
  const warnings = new Set(result.warnings);
  for (const upscaler of upscalers) {
    result = await upscaler.generate({ ...shared, low: result.values }, options);
    for (const warning of result.warnings) warnings.add(warning);
  }
  return { ...result, warnings: [...warnings] };
}
