// The command line's options: how each is written, checked and named.
import { InvalidArgumentError, Option } from "commander";
import type { GuidanceSettings } from "../../diffusion/guidance.ts";
import type { Sampler } from "../../diffusion/samplers.ts";
import { defaultSettings, type PartialSettings, upscalingSettings } from "../../diffusion/settings.ts";
import type { Thresholding } from "../../diffusion/thresholding.ts";
import type { AdapterChoice } from "../dawn.ts";
import { shippedDatabase, shippedModel } from "../shipped.ts";
import type { HandNeighbor, RetrieverKind } from "./request.ts";

/** Values of `samplingOptions`, as commander names them. */
export interface SamplingFlags {
  seed: number;
  steps: number;
  sampler: Sampler;
  etaDdim?: number;
  guidance: GuidanceSettings["mode"];
  choice: GuidanceSettings["choice"];
  eta: number;
  gammaP: number;
  gammaN: number;
  threshold: Thresholding["kind"];
  thresholdRange: number;
  thresholdQuantile: number;
  thresholdMax: number;
  pictures: number;
  storage: "f32" | "f16";
}

/** Values of `pipelineOptions`, as commander names them. */
export interface PipelineFlags {
  negative?: string;
  size?: { width: number; height: number };
  upscale: string[];
  picture?: string;
  noiseLevel?: number;
  neighborNoise?: number;
  neighborLevels?: number[];
  upscaleSteps?: number;
  weights?: "f32" | "f16" | "q8";
  memory?: number;
  tile?: number;
}

const { guidance, steps, sampler, seed } = defaultSettings;

/** Options that `generate` and `explain` share. */
export const samplingOptions = (): Option[] => [
  number("--seed <n>", "seed of all randomness", whole(0)).default(seed),
  number("--steps <n>", "denoising steps", whole(1)).default(steps),
  choice("--sampler <name>", "sampler", ["ddpm", "ddim", "dpm-solver++", "pndm"]).default(sampler),
  number("--eta-ddim <x>", "ddim: share of ancestral noise, 0 to 1 (default: 0)", real),
  choice("--guidance <mode>", "guidance", ["interleaved", "entangled", "text-only", "neighbor-only", "none"]).default(
    guidance.mode,
  ),
  choice("--choice <name>", "interleaved: how each step is chosen", ["random", "periodic"]).default(guidance.choice),
  number("--eta <x>", "interleaved: share of text-enhanced steps; lower follows the neighbours more", real).default(
    guidance.eta,
  ),
  number("--gamma-p <x>", "weight of the text; 1 is none", real).default(guidance.gammaP),
  number("--gamma-n <x>", "weight of the neighbours; 1 is none (public models: 3)", real).default(guidance.gammaN),
  choice("--threshold <kind>", "how estimates are kept in range", ["none", "static", "dynamic"]).default("static"),
  number("--threshold-range <x>", "static: clip to [-x, x]", real).default(1),
  number("--threshold-quantile <x>", "dynamic: quantile of the values", real).default(0.995),
  number("--threshold-max <x>", "dynamic: greatest divisor", real).default(10),
  number("--pictures <n>", "how many at once, with seeds from --seed on", whole(1)).default(1),
  choice("--storage <type>", "element type of weights and activations", ["f32", "f16"]).default("f32"),
];

/** Options of `generate` about enlarging: by stages of ours, or by pipelines of public models. */
export const cascadeOptions = (): Option[] => [
  new Option(
    "--size <side>",
    "pixels, as 256 or 768x512 (default: as the model was trained); larger ones by the super-<side> beside the model",
  ).argParser(size),
  new Option("--upscale <folder>", "a stage or pipeline that enlarges the result; repeatable")
    .argParser((folder: string, all: string[]) => [...all, folder])
    .default([], "none"),
  new Option("--picture <file>", "the smaller picture, where --model is an upscaler"),
  number("--noise-level <x>", "upscalers: how noisy the smaller picture is made", real),
];

/** Options of `generate` for pipelines of public models. */
export const pipelineOptions = (): Option[] => [
  new Option("--negative <text>", "what the picture is to keep away from"),
  ...neighborOptions(),
  new Option(
    "--memory <size>",
    "what the device may hold at a time, as 6GB; more is refused, or done in tiles",
  ).argParser(byteSize),
  number("--tile <n>", "decode and upscale in tiles of so many pixels (default: whole, where that fits)", whole(1)),
];

/** How a model sees neighbours that was never trained with any. */
export const neighborOptions = (): Option[] => [
  number("--neighbor-noise <x>", "noise laid on neighbours, 0 to 1 (default: 0.1)", real),
  new Option(
    "--neighbor-levels <n,n>",
    "levels of the U-Net that see neighbours, 0 being the finest (default: all but 0)",
  ).argParser((text: string) => text.split(",").map(whole(0))),
];

/** Steps of stages of ours that enlarge. */
export const upscaleStepsOption = (): Option =>
  number(
    "--upscale-steps <n>",
    `denoising steps of each --upscale (default: as the model says, or ${upscalingSettings.steps})`,
    whole(1),
  );

export const weightsOption = (): Option =>
  choice(
    "--weights <type>",
    "element type of matrices and kernels (default: as --storage; of a pipeline q8 where `quantize` wrote them)",
    ["f32", "f16", "q8"],
  );

/** How many neighbours to retrieve. */
export const retrieveOption = (description: string): Option => number("-k, --retrieve <n>", description, whole(0));

/** Pictures by hand. */
export const neighborOption = (): Option =>
  new Option("--neighbor <picture=caption>", 'a neighbour by hand, as moose.png="a moose"; repeatable')
    .argParser((text: string, all: HandNeighbor[]) => [...all, handNeighbor(text)])
    .default([], "none");

/** Entries that may not be retrieved. */
export const excludeOption = (): Option =>
  new Option("--exclude <id>", "an id of the database that may not be retrieved; repeatable")
    .argParser((text: string, all: number[]) => [...all, whole(0)(text)])
    .default([], "none");

export const adapterOption = (): Option =>
  choice("--adapter <name>", "a real GPU if there is one (auto), only that (gpu), or SwiftShader", [
    "auto",
    "gpu",
    "software",
  ] satisfies AdapterChoice[]).default("auto");

export const modelOption = (): Option =>
  new Option("--model <folder>", "checkpoint folder").default(shippedModel, "the shipped emoji-64");

export const tuningOption = (): Option =>
  new Option("--tuning <folder>", "measurements of kernels, which `tune` takes (default: in the user's cache)");

export const databaseOption = (): Option =>
  new Option("--database <folder>", "neighbour database").default(shippedDatabase, "the shipped emoji-db");

/** Pixels of a picture in a database. */
export const tileOption = (): Option =>
  number("--size <n>", "side of a picture in the database, pixels: that of the model's pictures", whole(1)).default(64);

/** The section of `index --help` that says where captions come from. */
export const captionHelp = `
Captions, the first of these that there is:
  captions.csv    in the folder: a line "file,caption,tags", then one a picture; tags, which may be missing, end at ; or ,
  fox.txt         beside fox.png: the caption, and tags in a second line
  red-fox_2.png   the name itself: "red fox"
Names of sub-folders are tags.
`;

export const retrieverOption = (): Option =>
  choice("--retriever <name>", "find neighbours by the prompt's words, or by vectors that a model makes", [
    "bm25",
    "learned",
  ] satisfies RetrieverKind[]).default("bm25");

export const jsonOption = (): Option => new Option("--json", "print JSON, for programs").default(false, "off");

/** Settings as the engine takes them; what was not given is left to the model. */
export function settingsOf(flags: Partial<SamplingFlags>): PartialSettings {
  const { seed, steps, sampler, etaDdim, guidance: mode, choice, eta, gammaP, gammaN } = flags;
  return {
    ...given({ seed, steps, sampler, etaDdim, thresholding: thresholdingOf(flags) }),
    guidance: given({ mode, choice, eta, gammaP, gammaN }),
  };
}

function thresholdingOf({
  threshold = "static",
  thresholdRange = 1,
  thresholdQuantile = 0.995,
  thresholdMax = 10,
}: Partial<SamplingFlags>): Thresholding {
  if (threshold === "static") return { kind: "static", range: thresholdRange };
  if (threshold === "dynamic") return { kind: "dynamic", quantile: thresholdQuantile, max: thresholdMax };
  return { kind: "none" };
}

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };

function given<T extends object>(values: T): Given<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Given<T>;
}

function byteSize(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?) ?([MG]i?B)$/.exec(text) ?? [];
  if (!amount) throw new InvalidArgumentError("It must be a size such as 800MB or 7.5GB.");
  return Number(amount) * { MB: 1e6, GB: 1e9, MiB: 2 ** 20, GiB: 2 ** 30 }[unit as "MB"];
}

function handNeighbor(text: string): HandNeighbor {
  const at = text.indexOf("=");
  const [file, caption] = [text.slice(0, at), text.slice(at + 1).trim()];
  if (at < 1 || !caption) throw new InvalidArgumentError('It must be picture=caption, such as moose.png="a moose".');
  return { file, caption };
}

function size(text: string): { width: number; height: number } {
  const [, width, height = width] = /^(\d+)(?:x(\d+))?$/.exec(text) ?? [];
  if (!Number(width) || !Number(height))
    throw new InvalidArgumentError("It must be <side> or <width>x<height>, such as 256 or 768x512.");
  return { width: Number(width), height: Number(height) };
}

function choice(flags: string, description: string, choices: readonly string[]): Option {
  return new Option(flags, description).choices(choices);
}

function number(flags: string, description: string, parse: (text: string) => number): Option {
  return new Option(flags, description).argParser(parse);
}

function real(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value)) throw new InvalidArgumentError("It must be a number.");
  return value;
}

function whole(least: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!Number.isSafeInteger(value) || value < least)
      throw new InvalidArgumentError(`It must be a whole number of at least ${least}.`);
    return value;
  };
}
