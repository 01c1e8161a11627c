// What to draw with a pipeline of public models, decided before the device is asked for anything.
import { ReimagenError } from "../../errors.ts";
import type { Picture } from "../../io/picture.ts";
import { levelSizes } from "../../models/diffusers/unet.ts";
import { type GuidanceSettings, guidanceMode, guidanceSteps } from "../guidance.ts";
import type { NeighborPicture } from "../neighbors.ts";
import { keyOf } from "../philox.ts";
import { checkInteger } from "../range.ts";
import { type Sampler, stepCoefficients } from "../samplers.ts";
import type { DiscreteSchedule } from "../schedule.ts";
import type { SchedulerConfig } from "../scheduler-config.ts";
import { type SamplingSettings, samplingSettings } from "../settings.ts";
import type { StepCoefficients } from "../step.ts";
import { defaults, type PipelineDefinition } from "./definition.ts";
import type { Storage } from "./memory.ts";
import { decideNeighbors, neighborTime } from "./neighbors.ts";
import type { UnetShape } from "./unet-model.ts";

/** What to draw. */
export interface PipelineRequest {
  readonly prompt: string;
  /** What the picture is to keep away from. Default: the empty text. */
  readonly negative?: string;
  /** How many pictures at once, with seeds from `seed` on; those of `low` for an upscaler. Default 1. */
  readonly pictures?: number;
  /** In pixels. Default: as the model was trained; for an upscaler as its picture asks for. */
  readonly size?: { readonly width: number; readonly height: number };
  /** Whole number in [0, 2^53). Default 0. */
  readonly seed?: number;
  /** Default: as diffusers has it for the pipeline's class. */
  readonly steps?: number;
  /** Default: the one that the folder's scheduler names. */
  readonly sampler?: Sampler;
  /** DDIM: share of ancestral noise in [0, 1]. */
  readonly etaDdim?: number;
  /** Weight of the text; 1 is none. Default: as diffusers has it for the pipeline's class. */
  readonly gamma?: number;
  /**
   * Up to 8 pictures that show what something looks like, in any form and of any size. No public model was trained to look at them: its attentions to a feature map
   * itself see the neighbours' keys and values beside their own, in one softmax (see `neighborLevels`). For an upscaler's first stage, not for itself.
   */
  readonly neighbors?: readonly NeighborPicture[];
  /** As a model takes it that was trained with neighbours. Default with neighbours: interleaved, as `defaultSettings` has it; without: text-only. `gammaP` is `gamma`, unless given. */
  readonly guidance?: Partial<GuidanceSettings>;
  /** Noise that is laid on neighbours: sigma in [0, 1], of which the nearest that the noise schedule has is taken. Default 0.1. */
  readonly neighborNoise?: number;
  /** Levels of the U-Net that see neighbours, 0 being the finest. Default: all whose feature maps attend to themselves, except 0, which costs most. */
  readonly neighborLevels?: readonly number[];
  /** The smaller pictures, for an upscaler. */
  readonly low?: LowPictures;
  /** How noisy an upscaler's smaller picture is made: a time of its noise schedule. Default: as diffusers has it for the pipeline's class. */
  readonly noiseLevel?: number;
}

/** Pictures of one size as values in [-1, 1]. */
export interface LowPictures {
  readonly width: number;
  readonly height: number;
  /** [N, height, width, 3] */
  readonly values: Float32Array<ArrayBuffer>;
}

/** A request, decided, but for the text. */
export interface PipelineDecision {
  readonly shape: UnetShape;
  readonly settings: SamplingSettings;
  readonly seeds: readonly number[];
  readonly coefficients: readonly StepCoefficients[];
  readonly guidance: ReturnType<typeof guidanceSteps>[];
  readonly noiseLevel: number;
  readonly schedule: DiscreteSchedule;
  /** To which neighbours are noised. */
  readonly neighborTime: number;
}

/** Pictures as an upscaler takes them; transparency shows white. Throws `argument` where their sizes differ. */
export function lowPictures(pictures: readonly Picture[]): LowPictures {
  const { width, height } = pictures[0]!;
  const values = new Float32Array(pictures.length * width * height * 3);
  pictures.forEach((picture, n) => {
    if (picture.width !== width || picture.height !== height)
      throw new ReimagenError("argument", "pictures to be upscaled together must have one size");
    for (let pixel = 0; pixel < width * height; pixel++) {
      const opacity = picture.pixels[4 * pixel + 3]! / 255;
      for (let channel = 0; channel < 3; channel++) {
        const value = picture.pixels[4 * pixel + channel]! * opacity + 255 * (1 - opacity);
        values[(n * width * height + pixel) * 3 + channel] = value / 127.5 - 1;
      }
    }
  });
  return { width, height, values };
}

/** `tokens`: of a text, padding included. Throws `argument`, `prompt`, `shape`, `config`. */
export function decidePipeline(
  definition: PipelineDefinition,
  request: PipelineRequest,
  tokens: number,
  storage: Storage,
): PipelineDecision {
  const { low, neighbors: { length: given } = [] } = request;
  if (request.prompt.trim() === "" && given === 0)
    throw new ReimagenError("prompt", "there is nothing to draw: the prompt is empty and there are no neighbours");
  const pictures = countOf(definition, request);
  const noiseLevel = noiseLevelOf(definition, request);
  const { schedule, prediction, ...sampling } = definition.scheduler(request.sampler);
  const settings = settingsOf(definition, request, sampling);
  const coefficients = stepCoefficients(schedule, prediction, settings);
  const seeds = Array.from({ length: pictures }, (_, i) => settings.seed + i);
  // The last picture's seed must be in range too.
  keyOf(seeds.at(-1)!);
  const [height, width] = extentOf(definition, request);
  const neighbors = decideNeighbors(definition, request, Math.max(height, width));
  const guidance = seeds.map((seed) => guidanceSteps(settings.guidance, coefficients.length, seed));
  const shape: UnetShape = {
    storage: storage.activations,
    weights: storage.weights,
    pictures,
    evaluations: guidance.flat().some(({ base }) => base) ? 2 : 1,
    height,
    width,
    tokens,
    ...(low && { low: { height: low.height, width: low.width } }),
    ...(neighbors && { neighbors }),
    thresholding: settings.thresholding,
    stochastic: coefficients.some(({ cn }) => cn !== 0),
    multistep: coefficients.some(({ c1 }) => c1 !== 0),
    learnedVariance: settings.variance === "learned_range",
  };
  const time = neighborTime(schedule, request.neighborNoise);
  return { shape, settings, seeds, coefficients, guidance, noiseLevel, schedule, neighborTime: time };
}

/** How many pictures; an upscaler has one of each smaller one. */
function countOf({ name, noising }: PipelineDefinition, { low, pictures: asked }: PipelineRequest): number {
  if (Boolean(low) !== Boolean(noising))
    throw new ReimagenError(
      "argument",
      low
        ? `${name} draws from a prompt alone, and cannot start from a smaller picture`
        : `${name} is an upscaler: it needs a smaller picture to start from`,
    );
  const each = low && low.width * low.height * 3;
  const pictures = asked ?? (each ? low.values.length / each : 1);
  checkInteger("pictures", pictures, 1, Number.MAX_SAFE_INTEGER);
  if (each && low.values.length !== pictures * each)
    throw new ReimagenError(
      "argument",
      `${pictures} smaller pictures of ${low.width}x${low.height} have ${pictures * each} values, got ${low.values.length}`,
    );
  return pictures;
}

function noiseLevelOf({ noising, unet }: PipelineDefinition, { noiseLevel }: PipelineRequest): number {
  const level = noiseLevel ?? noising?.level ?? 0;
  const rows = unet.classes.kind === "table" ? unet.classes.rows : Number.POSITIVE_INFINITY;
  if (noising) checkInteger("noise level", level, 0, Math.min(noising.most, rows - 1));
  return level;
}

function settingsOf(
  definition: PipelineDefinition,
  { steps, etaDdim, gamma, seed, guidance, neighbors = [] }: PipelineRequest,
  { sampler, thresholding }: Pick<SchedulerConfig, "sampler" | "thresholding">,
): SamplingSettings {
  const usual = defaults[definition.class];
  const mode = guidanceMode(guidance?.mode ?? "interleaved", neighbors.length);
  return samplingSettings({
    ...sampler,
    steps: steps ?? usual.steps,
    ...(etaDdim !== undefined && { etaDdim }),
    thresholding,
    guidance: { ...guidance, mode, gammaP: guidance?.gammaP ?? gamma ?? usual.gamma },
    seed,
  });
}

/** Pixels of a latent's side, or 1 where pixels are drawn. */
export function pixelsPerValue({ vae }: Pick<PipelineDefinition, "vae">): number {
  return vae ? 2 ** (vae.channels.length - 1) : 1;
}

/** What is denoised: height and width. */
function extentOf(definition: PipelineDefinition, { size, low }: PipelineRequest): [height: number, width: number] {
  const { unet } = definition;
  const scale = pixelsPerValue(definition);
  const extent = usualExtent(definition, low);
  const [height, width] = size ? [size.height / scale, size.width / scale] : extent;
  if (![height, width].every((side) => Number.isInteger(side) && side > 0))
    throw new ReimagenError(
      "argument",
      `width and height must be multiples of ${scale}, got ${size?.width}x${size?.height}`,
    );
  // An upscaler whose latents stand beside the smaller picture draws them at its size.
  if (low && definition.vae && (height !== low.height || width !== low.width))
    throw new ReimagenError(
      "argument",
      `${definition.name} draws ${scale} times its picture's size, ${low.width * scale}x${low.height * scale}, got ${size?.width}x${size?.height}`,
    );
  levelSizes(unet, height, width);
  return [height, width];
}

function usualExtent({ name, unet, vae }: PipelineDefinition, low?: LowPictures): [height: number, width: number] {
  if (low && vae) return [low.height, low.width];
  const { side } = unet;
  if (side === undefined)
    throw new ReimagenError("argument", `${name} does not say how large it draws: width and height are needed`);
  if (!low) return [side, side];
  const larger = Math.max(low.height, low.width);
  return [Math.round((side * low.height) / larger), Math.round((side * low.width) / larger)];
}
