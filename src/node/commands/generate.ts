// `reimagen generate`: from a prompt to a PNG that says how it was made, and a contact sheet.
import { createEngine } from "../../diffusion/engine.ts";
import type { Generated } from "../../diffusion/generation.ts";
import type { GenerationRequest } from "../../diffusion/request.ts";
import { type PartialSettings, type SamplingSettings, samplingSettings } from "../../diffusion/settings.ts";
import { ReimagenError } from "../../errors.ts";
import { loadTuning } from "../../graph/tuning.ts";
import type { Picture } from "../../io/picture.ts";
import { encodePng } from "../../io/png.ts";
import { readConfig } from "../../models/config.ts";
import { contactSheet, type Tile } from "../contact-sheet.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openModel } from "../model.ts";
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
  tooFew,
  type UsedNeighbor,
} from "./request.ts";
import { jsonResult, note, openProgress, result, warn } from "./terminal.ts";

/** What `generate` is told. */
export interface GenerateOptions {
  readonly prompt: string;
  readonly byHand: readonly HandNeighbor[];
  /** How many neighbours to retrieve. */
  readonly k: number;
  readonly exclude: readonly number[];
  readonly settings: PartialSettings;
  /** How many pictures. */
  readonly pictures: number;
  readonly storage: "f32" | "f16";
  readonly adapter: AdapterChoice;
  /** Folders. */
  readonly model: string;
  readonly database: string;
  readonly tuning: string | undefined;
  readonly output: string | undefined;
  readonly sheet: boolean;
  readonly json: boolean;
}

/** A finished generation, and what led to it. */
interface Drawn {
  readonly generated: Generated;
  readonly neighbors: readonly UsedNeighbor[];
  readonly estimates: readonly Estimate[];
  readonly model: string;
  readonly adapter: string;
  readonly seconds: number;
  readonly warnings: readonly string[];
}

/** The pictures as the model saw them coming after some steps. */
interface Estimate {
  readonly step: number;
  readonly pictures: readonly Picture[];
}

/** Estimates on a contact sheet: one row. */
const shownEstimates = 8;

/** Draws and writes; the result is the files' names, or JSON. Throws ReimagenError, and leaves no file behind then. */
export async function generate(options: GenerateOptions, signal: AbortSignal): Promise<void> {
  const settings = check(options);
  const seeds = Array.from({ length: options.pictures }, (_, i) => settings.seed + i);
  const files = outputFiles({ ...options, seeds });
  for (const path of pathsOf(files)) await checkWritable(path);
  const drawn = await draw(options, settings, signal);
  await writeAll(await encodeFiles(options, files, drawn));
  for (const warning of drawn.warnings) warn(warning);
  report(options, files, drawn);
}

// All that can be told to be wrong before anything is loaded.
function check({ prompt, byHand, k, pictures, settings }: GenerateOptions): SamplingSettings {
  if (prompt.trim() === "" && byHand.length === 0)
    throw new ReimagenError("prompt", "there is nothing to draw: the prompt is empty and there are no neighbours");
  checkCount({ k, byHand });
  const complete = samplingSettings(settings);
  // The last picture's seed must be in range too.
  samplingSettings({ seed: complete.seed + pictures - 1 });
  return complete;
}

async function draw(options: GenerateOptions, settings: SamplingSettings, signal: AbortSignal): Promise<Drawn> {
  const files = await openModel(options.model);
  const { size } = readConfig(`${files.name}/config.json`, files.config);
  const neighbors = await gatherNeighbors(options, size);
  return withGpu(options.adapter, async (gpu) => {
    const adapter = adapterName(gpu.info);
    announce(options.prompt, neighbors, settings, adapter);
    if (gpu.traits.software) note("  This adapter computes on the CPU, so it takes a while; a GPU takes seconds.");
    const start = performance.now();
    const progress = await openProgress();
    try {
      const engine = await createEngine(gpu, files, {
        storage: options.storage,
        tuning: await loadTuning(fileTuningStore(options.tuning), gpu.info),
        signal,
        onProgress: (done, total) => progress.show("loading weights", done, total),
      });
      const estimates: Estimate[] = [];
      const request: GenerationRequest = {
        prompt: options.prompt,
        neighbors: neighbors.map(({ picture, caption }) => ({ picture, caption })),
        settings,
        pictures: options.pictures,
      };
      const generated = await engine.generate(request, {
        signal,
        onCompile: (done, total) => progress.show("compiling", done, total),
        onStep: async (done, total, generation) => {
          progress.show("drawing", done, total);
          if (options.sheet && isShown(done, total))
            estimates.push({ step: done, pictures: await generation.read("estimate") });
        },
      });
      const seconds = (performance.now() - start) / 1000;
      const warnings = [...tooFew(options, neighbors), ...generated.warnings];
      return { generated, neighbors, estimates, model: files.name, adapter, seconds, warnings };
    } finally {
      progress.stop();
    }
  });
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
  adapter: string,
): void {
  note(`Drawing "${prompt}": ${steps} ${sampler} steps from seed ${seed}, on ${adapter}.`);
  for (const { facts } of neighbors) note(`  neighbour: ${describeNeighbor(facts)}`);
}

async function encodeFiles(
  { prompt }: GenerateOptions,
  files: OutputFiles,
  drawn: Drawn,
): Promise<Map<string, Uint8Array>> {
  const { generated, neighbors, model } = drawn;
  const { seed, ...settings } = generated.settings;
  const text = {
    Software: `reimagen ${await packageVersion()}`,
    model,
    prompt,
    neighbors: JSON.stringify(neighbors.map(({ facts }) => facts)),
    settings: JSON.stringify(settings),
  };
  const encoded = new Map<string, Uint8Array>();
  generated.pictures.forEach((picture, i) => {
    encoded.set(files.pictures[i], encodePng(picture, { ...text, seed: String(seed + i) }));
  });
  if (files.sheet) encoded.set(files.sheet, encodePng(await sheetOf(prompt, drawn), { ...text, seed: String(seed) }));
  return encoded;
}

function sheetOf(prompt: string, { generated, neighbors, estimates, model }: Drawn): Promise<Picture> {
  const { settings, pictures } = generated;
  return contactSheet({
    title: prompt.trim() || "(no prompt)",
    neighbors: neighbors.map(({ picture, facts }) => ({ picture, lines: captionLines(facts) })),
    pictures: pictures.map((picture, i) => ({ picture, lines: [`seed ${settings.seed + i}`] })),
    facts: settingsFacts(settings, model),
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
  const { generated, neighbors, model, adapter, seconds, warnings } = drawn;
  const { settings } = generated;
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
    model,
    adapter,
    seconds: Number(seconds.toFixed(3)),
    warnings,
  });
}

function pathsOf({ pictures, sheet }: OutputFiles): string[] {
  return sheet ? [...pictures, sheet] : [...pictures];
}
