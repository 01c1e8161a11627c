// The model_index.json of a diffusers pipeline: which pipeline it is, and which parts lie in its folders.
import { ReimagenError } from "../../errors.ts";

/** The pipelines that can be run, by the names of their classes. */
export const pipelineClasses = [
  "StableDiffusionPipeline",
  "StableDiffusionUpscalePipeline",
  "IFPipeline",
  "IFSuperResolutionPipeline",
] as const;

/** A pipeline's class. */
export type PipelineClass = (typeof pipelineClasses)[number];

/** What a pipeline's index says. */
export interface ModelIndex {
  readonly class: PipelineClass;
  /** Folders of the parts that are there. */
  readonly parts: ReadonlySet<string>;
  /** Folders of parts that take no part in drawing, such as a safety checker: they are not read. */
  readonly passedOver: readonly string[];
  /** Where the x4 upscaler's picture may at most be noised. */
  readonly maxNoiseLevel: number | undefined;
}

/** Classes of the parts by folder; any scheduler's class is judged when the scheduler is read. */
const classes: Readonly<Record<string, RegExp>> = {
  image_noising_scheduler: /Scheduler$/,
  low_res_scheduler: /Scheduler$/,
  scheduler: /Scheduler$/,
  text_encoder: /^(T5EncoderModel|CLIPTextModel)$/,
  tokenizer: /^(T5|CLIP)Tokenizer(Fast)?$/,
  unet: /^UNet2DConditionModel$/,
  vae: /^AutoencoderKL$/,
};

// They look at the finished picture or mark it; none changes what the models draw.
const bystanders = ["safety_checker", "feature_extractor", "watermarker", "image_encoder"];

const common = ["scheduler", "unet"];
const text = ["text_encoder", "tokenizer"];
const needed: Readonly<Record<PipelineClass, readonly string[]>> = {
  StableDiffusionPipeline: [...common, ...text, "vae"],
  StableDiffusionUpscalePipeline: [...common, ...text, "vae", "low_res_scheduler"],
  IFPipeline: [...common, ...text],
  // Its text comes from the first stage where the folder has no encoder of its own.
  IFSuperResolutionPipeline: [...common, "image_noising_scheduler"],
};

/** Reads the file's text; `name` is for messages. Throws `config`, naming a class or part that is not supported, or a part that is missing. */
export function readModelIndex(name: string, json: string): ModelIndex {
  const fail = (message: string, cause?: unknown) => new ReimagenError("config", `${name}: ${message}`, { cause });
  const index = parse(json, fail);
  const pipeline = index._class_name;
  if (!isPipeline(pipeline))
    throw fail(`the pipeline must be a ${pipelineClasses.join(", ")}, got ${JSON.stringify(pipeline) ?? "nothing"}`);
  const parts = new Set<string>();
  const passedOver: string[] = [];
  const entries = Object.entries(index).filter(([key]) => !key.startsWith("_") && !settings.includes(key));
  for (const [part, value] of entries) {
    if (!Array.isArray(value)) throw fail(`${part} ${JSON.stringify(value)} is not supported`);
    const [, named] = value as unknown[];
    if (named === null) continue;
    if (bystanders.includes(part)) {
      passedOver.push(part);
      continue;
    }
    if (typeof named !== "string" || !classes[part]?.test(named))
      throw fail(`the part ${part} of class ${JSON.stringify(named)} is not supported`);
    parts.add(part);
  }
  const missing = needed[pipeline].filter((part) => !parts.has(part));
  if (missing.length) throw fail(`a ${pipeline} needs ${missing.join(", ")}, which the index does not name`);
  const { max_noise_level: most } = index;
  return { class: pipeline, parts, passedOver, maxNoiseLevel: typeof most === "number" ? most : undefined };
}

const settings = ["requires_safety_checker", "max_noise_level"];

function isPipeline(name: unknown): name is PipelineClass {
  return (pipelineClasses as readonly unknown[]).includes(name);
}

function parse(text: string, fail: (message: string, cause?: unknown) => ReimagenError): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw fail(`it is not JSON: ${(cause as Error).message}`, cause);
  }
  if (typeof json !== "object" || json === null || Array.isArray(json)) throw fail("it is not a JSON object");
  return json as Record<string, unknown>;
}
