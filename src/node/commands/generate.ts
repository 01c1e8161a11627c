// `reimagen generate`: from a prompt to a PNG that says how it was made, and a contact sheet.
import { type CascadeRequest, type CascadeResult, generateCascade } from "../../diffusion/cascade.ts";
import { createEngine, type Engine } from "../../diffusion/engine.ts";
import { lowPictures } from "../../diffusion/low.ts";
import { settingsFor } from "../../diffusion/request.ts";
import { type PartialSettings, type SamplingSettings, samplingSettings } from "../../diffusion/settings.ts";
import { ReimagenError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import { loadTuning } from "../../graph/tuning.ts";
import type { Picture } from "../../io/picture.ts";
import { encodePng } from "../../io/png.ts";
import { contactSheet, type Tile } from "../contact-sheet.ts";
import type { AdapterChoice } from "../dawn.ts";
import { readPicture } from "../pictures.ts";
import { packageVersion } from "../shipped.ts";
import { fileTuningStore } from "../tuning-store.ts";
import { adapterName, withGpu } from "./device.ts";
import { checkWritable, type OutputFiles, outputFiles, writeAll } from "./output.ts";
import {
  checkCount,
  describeNeighbor,
  gatherNeighbors,
  type HandNeighbor,
  type NeighborFacts,
  type RetrieverKind,
  tooFew,
  type UsedNeighbor,
} from "./request.ts";
import { openStages, type Stage, type StageOptions } from "./stages.ts";
import { jsonResult, note, openProgress, type Progress, result, warn } from "./terminal.ts";

/** What `generate` is told. */
export interface GenerateOptions extends StageOptions {
  readonly prompt: string;
  readonly byHand: readonly HandNeighbor[];
  /** How many neighbours to retrieve. */
  readonly k: number | undefined;
  /** What that is where nothing is said, and some model sees neighbours. */
  readonly usualK: number;
  readonly exclude: readonly number[];
  readonly settings: PartialSettings;
  /** How many pictures. */
  readonly pictures: number;
  /** A picture to start from, where the first model is an upscaler. */
  readonly picture: string | undefined;
  /** How noisy an upscaler's smaller picture is made, and its steps; its own defaults where undefined. */
  readonly noiseLevel: number | undefined;
  readonly upscaleSteps: number | undefined;
  readonly storage: "f32" | "f16";
  /** Of matrices and kernels; `storage` when undefined. */
  readonly weights: "f32" | "f16" | "q8" | undefined;
  readonly adapter: AdapterChoice;
  /** Folders. */
  readonly database: string;
  readonly retriever: RetrieverKind;
  readonly tuning: string | undefined;
  readonly output: string | undefined;
  readonly sheet: boolean;
  readonly json: boolean;
}

/** A finished generation, and what led to it. */
interface Drawn {
  readonly generated: CascadeResult;
  readonly neighbors: readonly UsedNeighbor[];
  readonly estimates: readonly Estimate[];
  /** Of each stage. */
  readonly models: readonly string[];
  readonly adapter: string;
  readonly seconds: number;
  readonly warnings: readonly string[];
}

/** The pictures as the first model saw them coming after some steps. */
interface Estimate {
  readonly step: number;
  readonly pictures: readonly Picture[];
}

/** All that can be decided before a device is asked for. */
interface Prepared {
  readonly stages: readonly [Stage, ...Stage[]];
  readonly settings: SamplingSettings;
  /** How many neighbours to retrieve. */
  readonly k: number;
}

/** Estimates on a contact sheet: one row. */
const shownEstimates = 8;

/** Draws and writes; the result is the files' names, or JSON. Throws ReimagenError, and leaves no file behind then. */
export async function generate(options: GenerateOptions, signal: AbortSignal): Promise<void> {
  const prepared = await prepare(options);
  const seeds = Array.from({ length: options.pictures }, (_, i) => prepared.settings.seed + i);
  const files = outputFiles({ ...options, seeds });
  for (const path of pathsOf(files)) await checkWritable(path);
  const drawn = await draw(options, prepared, signal);
  await writeAll(await encodeFiles(options, files, drawn));
  for (const warning of drawn.warnings) warn(warning);
  report(options, files, drawn);
}

// All that can be told to be wrong before anything is loaded.
async function prepare(options: GenerateOptions): Promise<Prepared> {
  const { prompt, byHand, pictures, settings, picture, noiseLevel, upscaleSteps } = options;
  if (prompt.trim() === "" && byHand.length === 0 && picture === undefined)
    throw new ReimagenError("prompt", "there is nothing to draw: the prompt is empty and there are no neighbours");
  const stages = await openStages(options);
  if (upscaleSteps !== undefined && stages.length === 1)
    throw new ReimagenError("argument", "--upscale-steps concerns stages behind the first, and there is none");
  if (noiseLevel !== undefined && !stages.some(({ config }) => config.cond_channels))
    throw new ReimagenError("argument", "--noise-level concerns stages that enlarge, and there is none");
  const k = options.k ?? (stages.some(({ config }) => config.neighbors) ? options.usualK : 0);
  checkCount({ k, byHand });
  const complete = settingsFor(stages[0].config, settings);
  // The last picture's seed must be in range too.
  samplingSettings({ seed: complete.seed + pictures - 1 });
  return { stages, settings: complete, k };
}

async function draw(options: GenerateOptions, prepared: Prepared, signal: AbortSignal): Promise<Drawn> {
  const { stages, settings, k } = prepared;
  const gather = () => gatherNeighbors({ ...options, k });
  // Learned retrieval has a device to itself first; else pictures are found and decoded while weights are read and kernels compiled.
  const learned = options.retriever === "learned" ? await gather() : undefined;
  const models = stages.map(({ files }) => files.name);
  return withGpu(options.adapter, async (gpu) => {
    const start = performance.now();
    const progress = await openProgress();
    const opening = openEngines(gpu, options, stages, progress, signal);
    // Told when it is awaited; what goes wrong with the neighbours comes first.
    opening.catch(() => undefined);
    try {
      const neighbors = learned ?? (await gather());
      const request = await requestOf(options, settings, neighbors);
      const adapter = adapterName(gpu.info);
      announce(options.prompt, neighbors, settings, models.slice(1), adapter);
      if (gpu.traits.software) note("  This adapter computes on the CPU, so it takes a while; a GPU takes seconds.");
      const engines = await opening;
      const estimates: Estimate[] = [];
      let [stage, label] = [0, "drawing"];
      const generated = await generateCascade(engines, request, {
        signal,
        onStage(at, picture) {
          stage = at;
          if (models.length > 1) label = options.pictures > 1 && at > 0 ? `${models[at]} ${picture + 1}` : models[at]!;
        },
        onCompile: (done, total) => progress.show("compiling", done, total),
        onStep: async (done, total, generation) => {
          progress.show(label, done, total);
          if (options.sheet && stage === 0 && isShown(done, total))
            estimates.push({ step: done, pictures: await generation.read("estimate") });
        },
      });
      const seconds = (performance.now() - start) / 1000;
      const warnings = [...tooFew({ k, byHand: options.byHand }, neighbors), ...generated.warnings];
      return { generated, neighbors, estimates, models, adapter, seconds, warnings };
    } finally {
      progress.stop();
    }
  });
}

async function openEngines(
  gpu: Gpu,
  options: GenerateOptions,
  stages: Prepared["stages"],
  progress: Progress,
  signal: AbortSignal,
): Promise<[Engine, ...Engine[]]> {
  const tuning = await loadTuning(fileTuningStore(options.tuning), gpu.info);
  const onProgress = (done: number, total: number) => progress.show("loading weights", done, total);
  const { storage, weights } = options;
  const open = ({ files }: Stage) =>
    createEngine(gpu, files, { storage, ...(weights && { weights }), tuning, signal, onProgress });
  const engines: [Engine, ...Engine[]] = [await open(stages[0])];
  for (const stage of stages.slice(1)) engines.push(await open(stage));
  return engines;
}

async function requestOf(
  { prompt, pictures, picture, noiseLevel, upscaleSteps }: GenerateOptions,
  settings: SamplingSettings,
  neighbors: readonly UsedNeighbor[],
): Promise<CascadeRequest> {
  const start = picture !== undefined && (await readPicture(picture));
  return {
    prompt,
    neighbors: neighbors.map(({ picture, caption }) => ({ picture, caption })),
    settings,
    pictures,
    ...(start && { low: lowPictures(new Array<Picture>(pictures).fill(start)) }),
    ...(noiseLevel !== undefined && { noiseLevel }),
    ...(upscaleSteps !== undefined && { upscaling: { steps: upscaleSteps } }),
  };
}

// Evenly spread, the last step always among them.
function isShown(step: number, steps: number): boolean {
  const shown = Math.min(steps, shownEstimates);
  return Math.floor((step * shown) / steps) > Math.floor(((step - 1) * shown) / steps);
}

function announce(
  prompt: string,
  neighbors: readonly UsedNeighbor[],
  { sampler, steps, seed }: SamplingSettings,
  upscalers: readonly string[],
  adapter: string,
): void {
  const enlarged = upscalers.map((name) => `, then ${name}`).join("");
  note(`Drawing "${prompt}": ${steps} ${sampler} steps from seed ${seed}${enlarged}, on ${adapter}.`);
  for (const { facts } of neighbors) note(`  neighbour: ${describeNeighbor(facts)}`);
}

async function encodeFiles(
  { prompt }: GenerateOptions,
  files: OutputFiles,
  drawn: Drawn,
): Promise<Map<string, Uint8Array>> {
  const { generated, neighbors, models } = drawn;
  const { seed, ...settings } = generated.settings;
  const upscaling = generated.stages.slice(1).map(({ seed: _, ...settings }) => settings);
  const text = {
    Software: `reimagen ${await packageVersion()}`,
    model: models.join(" + "),
    prompt,
    neighbors: JSON.stringify(neighbors.map(({ facts }) => facts)),
    settings: JSON.stringify(settings),
    ...(upscaling.length > 0 && { upscaling: JSON.stringify(upscaling) }),
  };
  const encoded = new Map<string, Uint8Array>();
  generated.pictures.forEach((picture, i) => {
    encoded.set(files.pictures[i], encodePng(picture, { ...text, seed: String(seed + i) }));
  });
  if (files.sheet) encoded.set(files.sheet, encodePng(await sheetOf(prompt, drawn), { ...text, seed: String(seed) }));
  return encoded;
}

function sheetOf(prompt: string, { generated, neighbors, estimates, models }: Drawn): Promise<Picture> {
  const { settings, pictures, stages } = generated;
  return contactSheet({
    title: prompt.trim() || "(no prompt)",
    neighbors: neighbors.map(({ picture, facts }) => ({ picture, lines: captionLines(facts) })),
    pictures: pictures.map((picture, i) => ({ picture, lines: [`seed ${settings.seed + i}`] })),
    facts: [
      ...settingsFacts(settings, models[0]!),
      ...stages
        .slice(1)
        .map(({ sampler, steps }, i) => ["enlarged by", `${models[i + 1]}, ${sampler}, ${steps} steps`] as const),
    ],
    estimates: pictures.map((_, i) =>
      estimates.map(({ step, pictures }): Tile => ({ picture: pictures[i], lines: [`step ${step}`] })),
    ),
  });
}

function captionLines(facts: NeighborFacts): string[] {
  if ("file" in facts) return [facts.caption, "by hand"];
  const { caption, score, style, heldOut } = facts;
  return [caption, `score ${score.toFixed(2)}`, heldOut ? `${style}, held out` : style];
}

function settingsFacts(
  { sampler, steps, guidance, thresholding }: SamplingSettings,
  model: string,
): [string, string][] {
  const { mode, choice, eta, gammaP, gammaN } = guidance;
  const weights = {
    interleaved: `${choice}, eta ${eta}, gamma ${gammaP} (text) and ${gammaN} (neighbours)`,
    entangled: `gamma ${gammaP}`,
    "text-only": `gamma ${gammaP}`,
    "neighbor-only": `gamma ${gammaN}`,
    none: "",
  };
  const { kind, ...parameters } = thresholding;
  const limits = Object.entries(parameters).map(([name, value]) => `${name} ${value}`);
  return [
    ["model", model],
    ["sampler", `${sampler}, ${steps} steps`],
    ["guidance", [mode, weights[mode]].filter(Boolean).join(": ")],
    ["thresholding", [kind, ...limits].join(", ")],
  ];
}

function report({ prompt, json }: GenerateOptions, files: OutputFiles, drawn: Drawn): void {
  const { generated, neighbors, models, adapter, seconds, warnings } = drawn;
  const { settings, stages } = generated;
  note(`Done in ${seconds.toFixed(1)} s:`);
  if (!json) {
    for (const path of pathsOf(files)) result(path);
    return;
  }
  jsonResult({
    prompt,
    pictures: files.pictures.map((file, i) => ({ file, seed: settings.seed + i })),
    sheet: files.sheet ?? null,
    neighbors: neighbors.map(({ facts }) => facts),
    settings,
    model: models[0],
    stages: stages.map((settings, i) => ({ model: models[i], settings })),
    adapter,
    seconds: Number(seconds.toFixed(3)),
    warnings,
  });
}

function pathsOf({ pictures, sheet }: OutputFiles): string[] {
  return sheet ? [...pictures, sheet] : [...pictures];
}
