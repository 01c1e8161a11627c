// What a pipeline's folder says of its parts, read from its configs alone.
import { ReimagenError } from "../../errors.ts";
import { type Folder, readText } from "../../io/folder.ts";
import { type ClipTextConfig, readClipTextConfig } from "../../models/clip_text.ts";
import { readUnetConfig, type UnetConfig } from "../../models/diffusers/unet_config.ts";
import { readVaeConfig, type VaeConfig } from "../../models/diffusers/vae_config.ts";
import { readT5Config, type T5Config } from "../../models/t5.ts";
import type { Sampler } from "../samplers.ts";
import type { DiscreteSchedule } from "../schedule.ts";
import { isSupportedScheduler, readScheduler, type SchedulerConfig } from "../scheduler-config.ts";
import { type ModelIndex, type PipelineClass, readModelIndex } from "./model-index.ts";

/** A text encoder. */
export type TextConfig =
  | { readonly kind: "t5"; readonly config: T5Config }
  | { readonly kind: "clip"; readonly config: ClipTextConfig };

/** A pipeline of public models, all but its weights and words. */
export interface PipelineDefinition {
  /** Of the folder. */
  readonly name: string;
  readonly class: PipelineClass;
  /** Undefined in a second stage of DeepFloyd IF whose folder has none: the first stage's serves it. */
  readonly text: TextConfig | undefined;
  readonly unet: UnetConfig;
  /** Where the U-Net draws latents. */
  readonly vae: VaeConfig | undefined;
  /** How its folder wants to be sampled; `instead`: by another sampler on the same noise schedule. Throws `config`. */
  scheduler(instead?: Sampler): SchedulerConfig;
  /** What the folder's scheduler was replaced by, and why; undefined where it is used as it is. */
  readonly replaced: string | undefined;
  /** How the smaller picture of an upscaler is noised. */
  readonly noising: Noising | undefined;
  /** Parts that are not read, as none changes what is drawn. */
  readonly passedOver: readonly string[];
}

/** The noise that an upscaler's smaller picture gets, so that its flaws are not taken for detail. */
export interface Noising {
  readonly schedule: DiscreteSchedule;
  /** Default time of the schedule. */
  readonly level: number;
  /** Highest time. */
  readonly most: number;
}

/** How diffusers draws with a class unless told otherwise: weight of the text, steps, noise of the smaller picture. */
export const defaults: Readonly<Record<PipelineClass, { gamma: number; steps: number; noiseLevel?: number }>> = {
  StableDiffusionPipeline: { gamma: 7.5, steps: 50 },
  StableDiffusionUpscalePipeline: { gamma: 9, steps: 75, noiseLevel: 20 },
  IFPipeline: { gamma: 7, steps: 100 },
  IFSuperResolutionPipeline: { gamma: 4, steps: 50, noiseLevel: 250 },
};

/** Weight of neighbours: half of that of models which were trained to look at them. */
export const neighborGamma = 3;

/** Used where a folder names a sampler that we have not. */
const substitute: Sampler = "dpm-solver++";

/** Reads a pipeline folder's configs, and no weights. Throws `checkpoint` (a missing file), `config` (naming whatever is not supported), `aborted`. */
export async function readPipeline(folder: Folder, signal?: AbortSignal): Promise<PipelineDefinition> {
  const read = async (path: string) => [`${folder.name}/${path}`, await readText(folder, path, signal)] as const;
  const index = readModelIndex(...(await read("model_index.json")));
  const schedulerFile = await read("scheduler/scheduler_config.json");
  const supported = isSupportedScheduler(...schedulerFile);
  const definition: PipelineDefinition = {
    name: folder.name,
    class: index.class,
    text: index.parts.has("text_encoder")
      ? readTextConfig(index.class, ...(await read("text_encoder/config.json")))
      : undefined,
    unet: readUnetConfig(...(await read("unet/config.json"))),
    vae: index.parts.has("vae") ? readVaeConfig(...(await read("vae/config.json"))) : undefined,
    scheduler: (instead) => readScheduler(...schedulerFile, instead ?? (supported ? undefined : substitute)),
    replaced: supported
      ? undefined
      : `the sampler that ${schedulerFile[0]} names is not supported: ${substitute} steps on its noise schedule instead`,
    noising: await readNoising(index, read),
    passedOver: index.passedOver,
  };
  definition.scheduler();
  checkParts(definition);
  return definition;
}

/** Reads a text encoder's config.json. Throws `config`. */
export function readTextConfig(pipeline: PipelineClass, name: string, text: string): TextConfig {
  return pipeline.startsWith("IF")
    ? { kind: "t5", config: readT5Config(name, text) }
    : { kind: "clip", config: readClipTextConfig(name, text) };
}

async function readNoising(
  index: ModelIndex,
  read: (path: string) => Promise<readonly [name: string, text: string]>,
): Promise<Noising | undefined> {
  const { noiseLevel } = defaults[index.class];
  if (noiseLevel === undefined) return undefined;
  const part = index.class.startsWith("IF") ? "image_noising_scheduler" : "low_res_scheduler";
  const { schedule } = readScheduler(...(await read(`${part}/scheduler_config.json`)), "ddpm");
  const last = schedule.alphaSquared.length - 1;
  return { schedule, level: noiseLevel, most: Math.min(index.maxNoiseLevel ?? last, last) };
}

/** What the U-Net denoises: channels of its input that are not the smaller picture's. */
export function drawnChannels({ unet, noising }: Pick<PipelineDefinition, "unet" | "noising">): number {
  return unet.inputs - (noising ? 3 : 0);
}

/** Width of the text encoder's states. */
export function textWidth({ kind, config }: TextConfig): number {
  return kind === "t5" ? config.d_model : config.hidden_size;
}

// Each config fits its class by itself; together they must fit each other.
function checkParts(definition: PipelineDefinition): void {
  const { name, text, unet, vae, noising } = definition;
  const fail = (message: string) => new ReimagenError("config", `${name}: ${message}`);
  const channels = drawnChannels(definition);
  const expected = vae ? vae.latentChannels : 3;
  if (channels !== expected)
    throw fail(
      `the U-Net's ${unet.inputs} input channels do not make ${expected} of a ${vae ? "latent" : "picture"}${noising ? " and 3 of a smaller picture" : ""}`,
    );
  if (![channels, 2 * channels].includes(unet.outputs))
    throw fail(`the U-Net's output should have ${channels} channels, or twice as many, got ${unet.outputs}`);
  if (vae && vae.outputs !== 3) throw fail(`the autoencoder should draw 3 channels, got ${vae.outputs}`);
  if (text && textWidth(text) !== unet.text.inputs)
    throw fail(`the U-Net reads texts of ${unet.text.inputs} channels, and the text encoder writes ${textWidth(text)}`);
  if (noising && unet.classes.kind === "none") throw fail("the U-Net cannot be told how noisy the smaller picture is");
  if (!noising && unet.classes.kind !== "none")
    throw fail("the U-Net is to be told a class, and the pipeline has none to tell");
  if (definition.scheduler().sampler.variance === "learned_range" && unet.outputs !== 2 * channels)
    throw fail("the scheduler takes the variance from the U-Net, which predicts none");
}
