// Pipeline folders as diffusers saves them, small enough to draw with in a moment: the fixtures' U-Nets and autoencoder, random text encoders, spelling tokenizers.

import type { PipelineClass } from "../src/diffusion/pipeline/model-index.ts";
import { textPart } from "../src/diffusion/pipeline/parts.ts";
import type { Folder } from "../src/io/folder.ts";
import { writeSafetensors } from "../src/io/safetensors.ts";
import { bytesSource } from "../src/io/source.ts";
import { readClipTextConfig } from "../src/models/clip_text.ts";
import { readT5Config } from "../src/models/t5.ts";
import { fixture } from "./fixture.ts";
import { writeModel } from "./io/spiece.ts";
import { randomTensors } from "./models/random_checkpoint.ts";
import { Random } from "./ops/harness.ts";

/** Contents of files by their paths in the folder. */
export type Files = Map<string, Uint8Array<ArrayBufferLike>>;

const fixtures: Readonly<Record<PipelineClass, string>> = {
  StableDiffusionPipeline: "sd-1",
  StableDiffusionUpscalePipeline: "sd-x4-upscaler",
  IFPipeline: "if-stage-1",
  IFSuperResolutionPipeline: "if-stage-2",
};

const text = (content: string) => new TextEncoder().encode(content);
/** A JSON file. */
export const json = (content: unknown): Uint8Array => text(JSON.stringify(content));

/** A whole folder. */
export async function tinyPipeline(kind: PipelineClass): Promise<Files> {
  const files: Files = new Map();
  const deepFloyd = kind.startsWith("IF");
  const upscales = /Upscale|SuperResolution/.test(kind);
  const parts: Record<string, [string | null, string | null]> = {
    scheduler: ["diffusers", deepFloyd ? "DDPMScheduler" : "DDIMScheduler"],
    text_encoder: ["transformers", deepFloyd ? "T5EncoderModel" : "CLIPTextModel"],
    tokenizer: ["transformers", deepFloyd ? "T5Tokenizer" : "CLIPTokenizer"],
    unet: ["diffusers", "UNet2DConditionModel"],
    safety_checker: deepFloyd ? ["deepfloyd_if", "IFSafetyChecker"] : [null, null],
    feature_extractor: ["transformers", "CLIPImageProcessor"],
    ...(!deepFloyd && { vae: ["diffusers", "AutoencoderKL"] as [string, string] }),
    ...(upscales && {
      [deepFloyd ? "image_noising_scheduler" : "low_res_scheduler"]: ["diffusers", "DDPMScheduler"] as [string, string],
    }),
  };
  files.set("model_index.json", json({ _class_name: kind, _diffusers_version: "0.17.0", ...parts }));
  files.set("scheduler/scheduler_config.json", json(deepFloyd ? ifScheduler : sdScheduler));
  if (upscales)
    files.set(
      `${deepFloyd ? "image_noising_scheduler" : "low_res_scheduler"}/scheduler_config.json`,
      json({ ...ifScheduler, variance_type: "fixed_small", thresholding: false }),
    );
  for (const [part, name] of [["unet", fixtures[kind]], ...(deepFloyd ? [] : [["vae", "vae"]])] as [string, string][])
    for (const file of ["config.json", "diffusion_pytorch_model.safetensors"]) {
      const source = await fixture(`test/fixtures/diffusers-tiny/${name}/${file}`);
      files.set(`${part}/${file}`, await source.read(0, source.size));
    }
  addText(files, deepFloyd);
  return files;
}

const sdScheduler = {
  _class_name: "DDIMScheduler",
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  beta_end: 0.012,
  clip_sample: false,
  set_alpha_to_one: false,
  steps_offset: 1,
  skip_prk_steps: true,
};

const ifScheduler = {
  _class_name: "DDPMScheduler",
  beta_schedule: "squaredcos_cap_v2",
  clip_sample: true,
  clip_sample_range: 1,
  dynamic_thresholding_ratio: 0.95,
  prediction_type: "epsilon",
  sample_max_value: 1.5,
  thresholding: true,
  variance_type: "learned_range",
};

const clip = {
  architectures: ["CLIPTextModel"],
  model_type: "clip_text_model",
  hidden_size: 48,
  num_attention_heads: 4,
  intermediate_size: 64,
  num_hidden_layers: 2,
  vocab_size: 100,
  max_position_embeddings: 77,
};

const t5 = {
  architectures: ["T5EncoderModel"],
  model_type: "t5",
  feed_forward_proj: "gated-gelu",
  vocab_size: 64,
  d_model: 96,
  d_kv: 16,
  num_heads: 4,
  d_ff: 64,
  num_layers: 2,
};

const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789"];

function addText(files: Files, deepFloyd: boolean): void {
  const config = deepFloyd ? t5 : clip;
  files.set("text_encoder/config.json", json(config));
  const read = JSON.stringify(config);
  const part = textPart(
    deepFloyd
      ? { kind: "t5", config: readT5Config("t5", read) }
      : { kind: "clip", config: readClipTextConfig("clip", read) },
    { activations: "f32", weights: "f32" },
  );
  const tensors = randomTensors(part.graph({ texts: 1, tokens: 4 }), new Random(11), (name, shape) => {
    if (/norm\d?\.weight$/.test(name)) return [1, 0.1];
    return [0, shape.length > 1 ? 0.2 : 0.05];
  });
  const encoded = [...tensors].map(([name, { shape, data }]) => {
    const bytes = new Uint8Array(Float32Array.from(data).buffer);
    return { name, dtype: "F32" as const, shape, bytes };
  });
  files.set("text_encoder/model.safetensors", writeSafetensors(encoded));
  if (deepFloyd) {
    const kinds = { "<pad>": 3, "</s>": 3, "<unk>": 2 };
    const pieces = [...Object.keys(kinds), "▁", ...letters].map((piece) => ({
      text: piece,
      score: -3,
      ...(piece in kinds && { kind: kinds[piece as "<pad>"] }),
    }));
    files.set("tokenizer/spiece.model", writeModel({ pieces }));
    return;
  }
  const words = [...letters, ...letters.map((letter) => `${letter}</w>`), "<|startoftext|>", "<|endoftext|>"];
  files.set("tokenizer/vocab.json", json(Object.fromEntries(words.map((word, id) => [word, id]))));
  files.set("tokenizer/merges.txt", text("#version: 0.2\n"));
}

/** The files as a folder. */
export function memoryFolder(name: string, files: Files): Folder {
  return {
    name,
    async open(path) {
      const bytes = files.get(path);
      return bytes && bytesSource(`${name}/${path}`, bytes);
    },
  };
}

/** Writes the files to disk. */
export async function writeFiles(folder: string, files: Files): Promise<string> {
  const fsModule = "node:fs/promises";
  const { mkdir, writeFile } = (await import(/* @vite-ignore */ fsModule)) as typeof import("node:fs/promises");
  for (const [path, bytes] of files) {
    await mkdir(`${folder}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
    await writeFile(`${folder}/${path}`, bytes);
  }
  return folder;
}
