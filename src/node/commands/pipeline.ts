// `reimagen generate --model DIR` for a folder as diffusers saves it: a pipeline of public models, and upscalers behind it.
import { stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { generateCascade } from "../../diffusion/pipeline/cascade.ts";
import { type PlannedPart, showBytes, totalBytes } from "../../diffusion/pipeline/memory.ts";
import {
  openPipeline,
  type Pipeline,
  type PipelineOptions,
  type PipelineResult,
} from "../../diffusion/pipeline/pipeline.ts";
import { lowPictures, type PipelineRequest } from "../../diffusion/pipeline/request.ts";
import { tileCount } from "../../diffusion/pipeline/tiles.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { encodePng } from "../../io/png.ts";
import type { AdapterChoice } from "../dawn.ts";
import { type DiskFolder, openFolder } from "../folder.ts";
import { readPicture } from "../pictures.ts";
import { packageVersion } from "../shipped.ts";
import { adapterName, withGpu } from "./device.ts";
import { checkWritable, outputFiles, writeAll } from "./output.ts";
import {
  checkCount,
  describeNeighbor,
  gatherNeighbors,
  type NeighborRequest,
  tooFew,
  type UsedNeighbor,
} from "./request.ts";
import { jsonResult, note, openProgress, type Progress, result, warn } from "./terminal.ts";

/** What a drawing with a pipeline is told; what is undefined is left to the pipeline's own defaults. */
export interface PipelineCommand {
  readonly request: PipelineRequest;
  readonly neighbors: Omit<NeighborRequest, "prompt">;
  /** Folder of the first stage. */
  readonly model: string;
  /** Folders of upscalers, in order. */
  readonly upscale: readonly string[];
  /** A picture to start from, where the first stage is an upscaler. */
  readonly picture: string | undefined;
  readonly storage: "f32" | "f16";
  /** Where they are not the pipeline's own. */
  readonly limits: Pick<PipelineOptions, "weights" | "memory" | "tile">;
  readonly adapter: AdapterChoice;
  readonly output: string | undefined;
  readonly json: boolean;
}

/** Whether a folder is a pipeline as diffusers saves it. */
export async function isPipeline(folder: string): Promise<boolean> {
  return Boolean(await stat(join(folder, "model_index.json")).catch(() => undefined));
}

/** Draws and writes; the result is the files' names, or JSON. Throws ReimagenError, and leaves no file behind then. */
export async function drawPipeline(command: PipelineCommand, signal: AbortSignal): Promise<void> {
  const { request, model, upscale } = command;
  const seed = request.seed ?? 0;
  const seeds = Array.from({ length: request.pictures ?? 1 }, (_, i) => seed + i);
  const { pictures: files } = outputFiles({ output: command.output, prompt: request.prompt, seeds, sheet: false });
  checkCount(command.neighbors);
  for (const file of files) await checkWritable(file);
  const neighbors = await gatherNeighbors({ ...command.neighbors, prompt: request.prompt });
  const start = performance.now();
  const { drawn, parts, adapter } = await draw(command, neighbors, signal);
  const seconds = (performance.now() - start) / 1000;
  const models = [model, ...upscale].map((folder) => basename(folder));
  const { seed: _, ...settings } = drawn.settings;
  const facts = neighbors.map(({ facts }) => facts);
  const warnings = [...tooFew(command.neighbors, neighbors), ...drawn.warnings];
  const text = {
    Software: `reimagen ${await packageVersion()}`,
    model: models.join(" + "),
    prompt: request.prompt,
    ...(request.negative && { negative: request.negative }),
    ...(facts.length > 0 && { neighbors: JSON.stringify(facts) }),
    settings: JSON.stringify(settings),
  };
  const encoded = drawn.pictures.map(
    (picture, i) => [files[i]!, encodePng(picture, { ...text, seed: String(seeds[i]) })] as const,
  );
  await writeAll(new Map(encoded));
  for (const warning of warnings) warn(warning);
  note(`Done in ${seconds.toFixed(1)} s:`);
  if (!command.json) for (const file of files) result(file);
  else
    jsonResult({
      prompt: request.prompt,
      pictures: files.map((file, i) => ({ file, seed: seeds[i] })),
      neighbors: facts,
      settings: drawn.settings,
      models,
      parts,
      adapter,
      seconds: Number(seconds.toFixed(3)),
      warnings,
    });
}

interface Drawn {
  readonly drawn: PipelineResult;
  /** Bytes that each part took of the device's memory. */
  readonly parts: readonly { part: string; bytes: number }[];
  readonly adapter: string;
}

async function draw(command: PipelineCommand, neighbors: readonly UsedNeighbor[], signal: AbortSignal): Promise<Drawn> {
  const folders: DiskFolder[] = [];
  try {
    for (const path of [command.model, ...command.upscale]) folders.push(await openFolder(path));
    return await withGpu(command.adapter, async (gpu) => {
      const adapter = adapterName(gpu.info);
      note(`Drawing "${command.request.prompt}" on ${adapter}.`);
      for (const { facts } of neighbors) note(`  neighbour: ${describeNeighbor(facts)}`);
      const progress = await openProgress();
      try {
        const pipelines = await open(gpu, folders, command, signal);
        return { ...(await run(pipelines, command, neighbors, signal, progress)), adapter };
      } finally {
        progress.stop();
      }
    });
  } finally {
    for (const folder of folders) await folder.close();
  }
}

async function open(
  gpu: Gpu,
  folders: readonly DiskFolder[],
  { storage, limits }: PipelineCommand,
  signal: AbortSignal,
): Promise<[Pipeline, ...Pipeline[]]> {
  const pipelines: Pipeline[] = [];
  for (const folder of folders) {
    const after = pipelines.at(0);
    pipelines.push(await openPipeline(gpu, folder, { storage, ...limits, signal, ...(after && { after }) }));
  }
  return pipelines as [Pipeline, ...Pipeline[]];
}

async function run(
  pipelines: [Pipeline, ...Pipeline[]],
  { request, picture }: PipelineCommand,
  used: readonly UsedNeighbor[],
  signal: AbortSignal,
  progress: Progress,
): Promise<Omit<Drawn, "adapter">> {
  const start = picture !== undefined && (await readPicture(picture));
  const low = start && lowPictures(new Array<typeof start>(request.pictures ?? 1).fill(start));
  const neighbors = used.map(({ picture, caption }) => ({ picture, caption }));
  const planned: PlannedPart[] = [];
  const drawn = await generateCascade(
    pipelines,
    { ...request, neighbors, ...(low && { low }) },
    {
      signal,
      onPlan(pipeline, parts) {
        planned.push(...parts);
        note(planLine(pipeline, parts));
      },
      onLoad: (part, done, total) => progress.show(`loading ${part}`, done, total),
      onCompile: (_, done, total) => progress.show("compiling", done, total),
      onStep: (done, total) => progress.show("drawing", done, total),
    },
  );
  return { drawn, parts: planned.map(({ name, needs }) => ({ part: name, bytes: totalBytes(needs) })) };
}

/** What will be on the device, one part after the other. */
function planLine(pipeline: string, parts: readonly PlannedPart[]): string {
  const sizes = parts.map(({ needs }) => totalBytes(needs));
  const each = parts.map(({ name, storage, tiling }, i) => {
    const tiles = tiling && tileCount(tiling) > 1 ? `, ${tileCount(tiling)} tiles` : "";
    return `${basename(name)} ${showBytes(sizes[i]!)} (${storage.weights}${tiles})`;
  });
  return `${basename(pipeline)} needs at most ${showBytes(Math.max(...sizes))} of the device's memory: ${each.join(", ")}.`;
}
