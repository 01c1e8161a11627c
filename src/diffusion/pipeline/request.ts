// What to draw with a pipeline of public models, decided before the device is asked for anything.
import { ReimagenError } from "../../errors.ts";
import { levelSizes } from "../../models/diffusers/unet.ts";
import { type GuidanceSettings, guidanceMode, guidanceSteps } from "../guidance.ts";
import { countPictures, type LowPictures } from "../low.ts";
import type { NeighborPicture } from "../neighbors.ts";
import { keyOf } from "../philox.ts";
import { rememberedAnswers } from "../pndm.ts";
import { checkInteger } from "../range.ts";
import { type Sampler, stepCoefficients } from "../samplers.ts";
import type { DiscreteSchedule } from "../schedule.ts";
import type { SchedulerConfig } from "../scheduler-config.ts";
import { type SamplingSettings, samplingSettings } from "../settings.ts";
import type { StepCoefficients } from "../step.ts";
import { defaults, neighborGamma, type PipelineDefinition } from "./definition.ts";
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
  /**
   * As a model takes it that was trained with neighbours. Default with neighbours: interleaved, as `defaultSettings` has it, but `gammaN` 3; without: text-only.
   * `gammaP` is `gamma`, unless given.
   */
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
  const pictures = countPictures(definition.name, Boolean(definition.noising), request);
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
    ...(coefficients[0]!.weights && { remembered: rememberedAnswers }),
    learnedVariance: settings.variance === "learned_range",
  };
  const time = neighborTime(schedule, request.neighborNoise);
  return { shape, settings, seeds, coefficients, guidance, noiseLevel, schedule, neighborTime: time };
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
    guidance: {
      ...guidance,
      mode,
      gammaP: guidance?.gammaP ?? gamma ?? usual.gamma,
      gammaN: guidance?.gammaN ?? neighborGamma,
    },
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
