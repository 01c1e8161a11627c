// What to draw, and everything about it that can be decided without the device.
import { ReimagenError } from "../errors.ts";
import type { DeviceTraits } from "../gpu/traits.ts";
import { compileGraph, type Plan } from "../graph/compile.ts";
import type { Tuning } from "../graph/tuning.ts";
import type { Tokenizer } from "../io/tokens.ts";
import type { ModelConfig } from "../models/config.ts";
import { guidanceMode, guidanceSteps } from "./guidance.ts";
import { type GenerationInputs, tellsSameText } from "./inputs.ts";
import { denoisingLoop, type LoopShape } from "./loop.ts";
import { countPictures, type LowPictures } from "./low.ts";
import { MAX_NEIGHBORS, type NeighborPicture } from "./neighbors.ts";
import { rememberedAnswers } from "./pndm.ts";
import { checkNumber } from "./range.ts";
import {
  type EncodedText,
  type ReimagenShape,
  reimagenConditions,
  reimagenModel,
  textRows,
  timestepUnit,
  usualLow,
} from "./reimagen.ts";
import { stepCoefficients } from "./samplers.ts";
import { alphaSigma, cosineSchedule, discreteSchedule, type NoiseSchedule } from "./schedule.ts";
import {
  defaultSettings,
  type PartialSettings,
  type SamplingSettings,
  samplingSettings,
  upscalingSettings,
} from "./settings.ts";

/** What to draw. */
export interface GenerationRequest {
  readonly prompt: string;
  /** Up to 8; none where the model sees none. */
  readonly neighbors?: readonly NeighborPicture[];
  /** What is missing takes its default: `defaultSettings`, or for a super-resolution stage `upscalingSettings`; the config may say other steps. */
  readonly settings?: PartialSettings;
  /** How many pictures at once, with seeds from `settings.seed` on. Default 1, or as many as there are smaller ones. */
  readonly pictures?: number;
  /** The smaller pictures that a super-resolution stage enlarges. */
  readonly low?: LowPictures;
  /** How noisy a super-resolution stage makes them, so that it may draw anew what they got wrong: a time in [0, 1] of its noise schedule. Default 0.1. */
  readonly noiseLevel?: number;
}

/** A model's definition: all but its weights. */
export interface ModelDefinition {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** Storage of activations and weights. */
  readonly storage: "f32" | "f16";
  /** Of matrices and kernels; `storage` when absent. */
  readonly weights?: "f32" | "f16" | "q8";
}

/** A request, decided. */
export interface Decision<Shape extends LoopShape = LoopShape> {
  readonly shape: Shape;
  readonly inputs: GenerationInputs;
  readonly settings: SamplingSettings;
  /** What the user should know: text that was cut, words that the model does not know. */
  readonly warnings: readonly string[];
}

/** Throws `prompt`, `argument` or `config`. */
export function decide(model: ModelDefinition, request: GenerationRequest): Decision<ReimagenShape> {
  const { config, tokenizer, storage, weights } = model;
  const { neighbors = [], prompt, low, noiseLevel = 0.1 } = request;
  const pictures = countPictures("this model", config.cond_channels > 0, request);
  if (!config.neighbors && neighbors.length > 0)
    throw new ReimagenError("argument", `this model sees no neighbours, got ${neighbors.length}`);
  if (neighbors.length > MAX_NEIGHBORS)
    throw new ReimagenError("argument", `at most ${MAX_NEIGHBORS} neighbours are possible, got ${neighbors.length}`);
  checkNumber("noise level", noiseLevel, 0, 1);
  if (prompt.trim() === "" && neighbors.length === 0 && !low)
    throw new ReimagenError("prompt", "there is nothing to draw: the prompt is empty and there are no neighbours");
  const settings = settingsFor(config, request.settings);
  if (settings.variance === "learned_range")
    throw new ReimagenError(
      "argument",
      "learned_range needs a model that predicts the variance too, and this one does not",
    );
  const mode = guidanceMode(settings.guidance.mode, neighbors.length);
  const schedule = scheduleOf(config);
  const coefficients = stepCoefficients(schedule, config.prediction, settings);
  const seeds = Array.from({ length: pictures }, (_, i) => settings.seed + i);
  // A picture of a batch is the picture that its seed draws alone, also where the seed chooses the branch.
  const guidance = seeds.map((seed) => guidanceSteps({ ...settings.guidance, mode }, coefficients.length, seed));
  const warnings: string[] = [];
  const encode = (what: string, text: string) => encodeText(model, what, text, warnings);
  const texts = {
    prompt: encode("prompt", prompt),
    empty: tokenizer.tokenize("", config.text_len),
    captions: neighbors.map(({ caption }, i) => encode(`caption of neighbour ${i + 1}`, caption)),
  };
  const time = noiseLevel * (schedule.kind === "cosine" ? 1 : schedule.alphaSquared.length - 1);
  const level = time * timestepUnit(schedule);
  const noised = low && { pictures: low, level, scales: alphaSigma(schedule, time), seeds };
  const evaluations = guidance.flat().some(({ base }) => base) ? 2 : 1;
  const shape: ReimagenShape = {
    storage,
    ...(weights && { weights }),
    pictures,
    evaluations,
    texts: textRows,
    neighbors: neighbors.length,
    ...(low && { low: { height: low.height, width: low.width } }),
    shortSteps: evaluations === 2 && coefficients.some((_, step) => tellsSameText(guidance, step)),
    thresholding: settings.thresholding,
    stochastic: coefficients.some(({ cn }) => cn !== 0),
    multistep: coefficients.some(({ c1 }) => c1 !== 0),
    ...(coefficients[0]!.weights && { remembered: rememberedAnswers }),
  };
  const inputs: GenerationInputs = {
    conditions: reimagenConditions(config, texts, schedule, shape, noised),
    seeds,
    coefficients,
    guidance,
  };
  return { shape, inputs, settings, warnings };
}

/** A request's settings with the model's own defaults. Throws `argument`. */
export function settingsFor({ cond_channels, steps }: ModelConfig, settings: PartialSettings = {}): SamplingSettings {
  const usual = cond_channels ? upscalingSettings : defaultSettings;
  return samplingSettings(settings, steps === undefined ? usual : { ...usual, steps });
}

/** A request of a kind, with nothing in it: enough for a plan, or to measure kernels. */
export function blankRequest(
  { k, settings, pictures }: { readonly k: number; readonly settings: PartialSettings; readonly pictures: number },
  config: ModelConfig,
): GenerationRequest {
  const { size } = config;
  const picture = { width: size, height: size, pixels: new Uint8Array(size * size * 4) };
  const neighbors = Array.from({ length: config.neighbors ? k : 0 }, () => ({ picture, caption: "" }));
  const extent = usualLow(config);
  const low = extent && { ...extent, values: new Float32Array(pictures * extent.height * extent.width * 3) };
  return { prompt: "a picture", neighbors, settings, pictures, ...(low && { low }) };
}

/** The plan of a request's kind on a device, as `explain` prints it. Throws what `decide` throws, and `kernel`. */
export function planOf(
  model: ModelDefinition,
  request: GenerationRequest,
  traits: DeviceTraits,
  tuning?: Tuning,
): Plan {
  const { shape } = decide(model, request);
  return compileGraph(denoisingLoop(reimagenModel(model.config, shape), shape), traits, tuning);
}

function encodeText(
  { tokenizer, config }: ModelDefinition,
  what: string,
  text: string,
  warnings: string[],
): EncodedText {
  const { ids, length, cut, unknown } = tokenizer.tokenize(text, config.text_len);
  if (cut) warnings.push(`the ${what} is longer than the model's ${config.text_len - 1} tokens; left out: "${cut}"`);
  if (unknown.length) warnings.push(`the ${what} has words that the model does not know: ${unknown.join(", ")}`);
  return { ids, length };
}

function scheduleOf({ schedule }: ModelConfig): NoiseSchedule {
  return schedule === "cosine" ? cosineSchedule : discreteSchedule({ betaSchedule: schedule });
}
