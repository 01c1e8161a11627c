// The models of a generation: the one that draws, and those behind it that enlarge.
import { readdir } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import type { ModelFiles } from "../../diffusion/engine.ts";
import { ReimagenError } from "../../errors.ts";
import { type ModelConfig, readConfig } from "../../models/config.ts";
import { openModel } from "../model.ts";
import { isPipeline } from "./pipeline.ts";

/** Which models are asked for. */
export interface StageOptions {
  /** Folder of the first. */
  readonly model: string;
  /** Folders of those that enlarge, in order. */
  readonly upscale: readonly string[];
  /** The picture's size, reached by the models named `super-<side>` beside the first. */
  readonly size: { readonly width: number; readonly height: number } | undefined;
}

/** A model whose config has been read. */
export interface Stage {
  readonly files: ModelFiles;
  readonly config: ModelConfig;
}

/** Opens the models of a generation, the one that draws first. Throws `checkpoint`, `config`, and `argument` for a size that they do not reach. */
export async function openStages({ model, upscale, size }: StageOptions): Promise<[Stage, ...Stage[]]> {
  const first = await openStage(model);
  if (size && upscale.length > 0)
    throw new ReimagenError("argument", "--size finds the stages that enlarge by itself: give it or --upscale");
  const folders = size ? await foldersFor(model, first, size) : upscale;
  const others: Stage[] = [];
  for (const folder of folders) others.push(await openStage(folder));
  const reached = others.reduce((side, { config }) => side * config.low_factor, first.config.size);
  if (size && reached !== size.width)
    throw new ReimagenError(
      "argument",
      `${[first, ...others].map(({ files }) => files.name).join(", ")} draw ${reached}x${reached} together, not ${size.width}x${size.height}`,
    );
  return [first, ...others];
}

async function openStage(folder: string): Promise<Stage> {
  if (await isPipeline(folder))
    throw new ReimagenError(
      "argument",
      `${folder} is a pipeline as diffusers saves it, and goes with such pipelines only`,
    );
  const files = await openModel(folder);
  return { files, config: readConfig(`${files.name}/config.json`, files.config) };
}

async function foldersFor(
  model: string,
  { config, files }: Stage,
  { width, height }: NonNullable<StageOptions["size"]>,
): Promise<string[]> {
  if (width !== height) throw new ReimagenError("argument", `${files.name} draws squares, got ${width}x${height}`);
  const beside = dirname(join(model, "."));
  const found = (await readdir(beside))
    .flatMap((name) => /^super-(\d+)$/.exec(name)?.[1] ?? [])
    .map(Number)
    .filter((side) => side > config.size)
    .sort((a, b) => a - b);
  if (width !== config.size && !found.includes(width))
    throw new ReimagenError(
      "checkpoint",
      `${basename(model)} draws ${config.size}x${config.size}, and no super-${width} lies beside it in ${beside} to reach ${width}x${height}`,
    );
  return found.filter((side) => side <= width).map((side) => join(beside, `super-${side}`));
}
