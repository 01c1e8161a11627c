#!/usr/bin/env node
// The command line: parses, calls one command, and turns whatever was thrown into a sentence and an exit code.
import { Command, CommanderError, Option } from "commander";
import { ReimagenError } from "../errors.ts";
import type { Stage } from "../graph/graph.ts";
import { exitCodeHelp, exitCodeOf, usageExitCode } from "./commands/exit-codes.ts";
import type { IndexPicturesOptions } from "./commands/index-pictures.ts";
import {
  adapterOption,
  captionHelp,
  cascadeOptions,
  databaseOption,
  excludeOption,
  jsonOption,
  modelOption,
  neighborOption,
  neighborOptions,
  type PipelineFlags,
  pipelineOptions,
  retrieveOption,
  retrieverOption,
  type SamplingFlags,
  samplingOptions,
  settingsOf,
  tileOption,
  tuningOption,
  upscaleStepsOption,
  weightsOption,
} from "./commands/options.ts";
import type { PipelineCommand } from "./commands/pipeline.ts";
import type { HandNeighbor, RetrieverKind } from "./commands/request.ts";
import { jsonResult, note } from "./commands/terminal.ts";
import type { AdapterChoice } from "./dawn.ts";
import { packageVersion } from "./shipped.ts";

/** Drawn when no prompt is given; its entity is one of those held out of training. The settings suited it best of those tried. */
const example = {
  prompt: "a pineapple on the beach",
  entity: "a pineapple",
  flags: { seed: 3, sampler: "dpm-solver++", steps: 16, gammaP: 2, gammaN: 4 } satisfies Partial<SamplingFlags>,
};
const defaultK = 2;

interface CommonFlags {
  adapter: AdapterChoice;
  model: string;
  tuning?: string;
  database: string;
  json: boolean;
  retriever: RetrieverKind;
  retrieve?: number;
  exclude: number[];
}

interface GenerateFlags extends CommonFlags, SamplingFlags, PipelineFlags {
  neighbor: HandNeighbor[];
  output?: string;
  sheet: boolean;
}

interface ExplainFlags extends CommonFlags, SamplingFlags {
  stage?: Stage;
  svg?: string;
}

async function program(signal: AbortSignal): Promise<Command> {
  const reimagen = new Command("reimagen")
    .description("Draws a picture from a prompt and from retrieved neighbours (Re-Imagen, on WebGPU).")
    .version(await packageVersion())
    .addHelpText("after", exitCodeHelp)
    .exitOverride()
    // Said by `fail`, in one sentence.
    .configureOutput({ outputError: () => undefined });
  addGenerate(reimagen, signal);
  addNeighbors(reimagen);
  addIndex(reimagen, signal);
  addInfo(reimagen);
  addInspect(reimagen);
  addQuantize(reimagen, signal);
  addExplain(reimagen);
  addTune(reimagen, signal);
  return reimagen;
}

function addGenerate(reimagen: Command, signal: AbortSignal): void {
  const command = reimagen
    .command("generate")
    .description("Draw a prompt: writes a PNG that says how it was made, and a contact sheet.")
    .argument("[prompt...]", `what to draw (default: an example, "${example.prompt}")`)
    .addOption(
      retrieveOption(`neighbours to retrieve, 0 to 8 (default: ${defaultK}, or 0 with --neighbor or a pipeline)`),
    )
    .addOption(neighborOption())
    .addOption(excludeOption())
    .option("-o, --output <file>", "the PNG (default: out/<prompt>-<seed>.png)")
    .option("--no-sheet", "write no contact sheet (<output>.sheet.png)");
  addOptions(command, [
    ...[...samplingOptions(), weightsOption(), adapterOption(), modelOption()],
    ...[databaseOption(), retrieverOption(), tuningOption(), jsonOption()],
  ]);
  command.optionsGroup("To enlarge what is drawn, stage by stage:");
  addOptions(command, [...cascadeOptions(), upscaleStepsOption()]);
  command.optionsGroup("For pipelines as diffusers saves them (Stable Diffusion, DeepFloyd IF):");
  addOptions(command, pipelineOptions());
  command.addHelpText("after", exitCodeHelp).action(async (words: string[], given: GenerateFlags) => {
    const { drawPipeline, isPipeline } = await import("./commands/pipeline.ts");
    if (await isPipeline(given.model)) return drawPipeline(pipelineCommand(command, words.join(" "), given), signal);
    refuseGiven(command, pipelineOptions(), `${given.model} is no pipeline as diffusers saves it`);
    const { generate } = await import("./commands/generate.ts");
    const isExample = words.length === 0;
    const flags = isExample ? { ...given, ...exampleFlags(command) } : given;
    if (isExample) introduceExample();
    await generate(
      {
        ...flags,
        prompt: isExample ? example.prompt : words.join(" "),
        byHand: flags.neighbor,
        k: flags.retrieve,
        usualK: flags.neighbor.length > 0 ? 0 : defaultK,
        settings: settingsOf({ ...givenFlags(command, given), ...(isExample && exampleFlags(command)) }),
        ...{ size: flags.size, picture: flags.picture, noiseLevel: flags.noiseLevel },
        ...{ upscaleSteps: flags.upscaleSteps, output: flags.output, tuning: flags.tuning, weights: flags.weights },
      },
      signal,
    );
    if (isExample) suggest();
  });
}

/** A pipeline has its own defaults: only what was given counts. Throws `argument` for what it has settings of its own for, or takes with neighbours alone. */
function pipelineCommand(command: Command, prompt: string, flags: GenerateFlags): PipelineCommand {
  const { model, neighbor: byHand, retrieve: k = 0, exclude, database, retriever, adapter } = flags;
  const among = (...names: string[]) => samplingOptions().filter((option) => names.includes(option.attributeName()));
  refuseGiven(
    command,
    [...among("threshold", "thresholdRange", "thresholdQuantile", "thresholdMax"), upscaleStepsOption()],
    `${model} is a pipeline of public models, which bring settings of their own`,
  );
  if (k + byHand.length === 0)
    refuseGiven(
      command,
      [...among("choice", "eta", "gammaN"), ...neighborOptions(), excludeOption(), retrieverOption()],
      `${model} is a pipeline of public models, which see no neighbours unless --neighbor or --retrieve asks for some`,
    );
  const { negative, size, upscale, picture, noiseLevel, neighborNoise, neighborLevels, storage } = flags;
  const { gammaP, guidance: mode, weights, memory, tile } = flags;
  const given = (...names: (keyof SamplingFlags)[]) =>
    Object.fromEntries(names.filter((name) => isGiven(command, name)).map((name) => [name, flags[name]]));
  return {
    request: {
      prompt,
      ...given("seed", "steps", "sampler", "etaDdim", "pictures"),
      guidance: { ...(isGiven(command, "guidance") && { mode }), ...given("choice", "eta", "gammaN") },
      ...(isGiven(command, "gammaP") && { gamma: gammaP }),
      ...(neighborNoise !== undefined && { neighborNoise }),
      ...(neighborLevels && { neighborLevels }),
      ...(negative !== undefined && { negative }),
      ...(size && { size }),
      ...(noiseLevel !== undefined && { noiseLevel }),
    },
    neighbors: { byHand, k, exclude, database, retriever, adapter },
    ...{ model, upscale, picture, storage },
    limits: { ...(weights && { weights }), ...(memory !== undefined && { memory }), ...(tile && { tile }) },
    ...{ adapter, output: flags.output, json: flags.json },
  };
}

function refuseGiven(command: Command, options: readonly Option[], why: string): void {
  const option = options.find((each) => isGiven(command, each.attributeName()));
  if (option) throw new ReimagenError("argument", `${option.long} does not go with this model: ${why}`);
}

/** Defaults are the model's: upscalers have their own. */
const givenFlags = <Flags extends object>(command: Command, flags: Flags): Partial<Flags> =>
  Object.fromEntries(Object.entries(flags).filter(([name]) => isGiven(command, name))) as Partial<Flags>;

const isGiven = (command: Command, name: string) => command.getOptionValueSource(name) === "cli";

function addNeighbors(reimagen: Command): void {
  const command = reimagen
    .command("neighbors")
    .description("Show what a prompt finds in the neighbour database.")
    .argument("<prompt...>", "what to look for")
    .addOption(retrieveOption("how many at most").default(8))
    .option("--sheet <file>", "also write a PNG of them");
  addOptions(command, [excludeOption(), databaseOption(), retrieverOption(), adapterOption(), jsonOption()]);
  command.addHelpText("after", exitCodeHelp);
  command.action(async (words: string[], flags: CommonFlags & { retrieve: number; sheet?: string }) => {
    const { neighbors } = await import("./commands/neighbors.ts");
    await neighbors({ ...flags, prompt: words.join(" "), k: flags.retrieve, sheet: flags.sheet });
  });
}

function addIndex(reimagen: Command, signal: AbortSignal): void {
  const command = reimagen
    .command("index")
    .description("Make a neighbour database of a folder of pictures; again, to bring it up to date.")
    .argument("<folder>", "with the pictures, in sub-folders or not")
    .option("-o, --output <folder>", "the database (default: <folder>-db, beside it)")
    .option("--strict", "refuse what cannot be read, rather than leave it out with a warning", false)
    .option(
      "--no-embeddings",
      "make none for learned retrieval, which the shipped retriever's model takes a moment for",
    );
  addOptions(command, [tileOption(), adapterOption(), jsonOption()]);
  command.addHelpText("after", captionHelp + exitCodeHelp);
  command.action(
    async (folder: string, flags: Omit<IndexPicturesOptions, "folder" | "output"> & { output?: string }) => {
      const { indexPictures } = await import("./commands/index-pictures.ts");
      await indexPictures({ ...flags, folder, output: flags.output }, signal);
    },
  );
}

function addInfo(reimagen: Command): void {
  const command = reimagen.command("info").description("Show the adapter, and why any fast path is off.");
  addOptions(command, [adapterOption(), jsonOption()]);
  command.addHelpText("after", exitCodeHelp).action(async (flags: CommonFlags) => {
    const { info } = await import("./commands/info.ts");
    await info(flags);
  });
}

function addInspect(reimagen: Command): void {
  const command = reimagen
    .command("inspect")
    .description("Show what a pipeline as diffusers saves it holds and needs; configs alone will do.")
    .argument("<folder>", "the one with model_index.json");
  addOptions(command, [adapterOption(), jsonOption()]);
  command.addHelpText("after", exitCodeHelp).action(async (folder: string, flags: CommonFlags) => {
    const { inspect } = await import("./commands/inspect.ts");
    await inspect(folder, flags);
  });
}

function addQuantize(reimagen: Command, signal: AbortSignal): void {
  const command = reimagen
    .command("quantize")
    .description("Write a pipeline's or a model's folder anew with its matrices and kernels in 8 bits.")
    .argument("<folder>", "a pipeline as diffusers saves it, or a folder with one model's config.json")
    .argument("<out>", "the new folder")
    .addOption(jsonOption());
  command.addHelpText("after", exitCodeHelp);
  command.action(async (folder: string, out: string, { json }: CommonFlags) => {
    const { quantize } = await import("./commands/quantize.ts");
    await quantize(folder, out, json, signal);
  });
}

function addExplain(reimagen: Command): void {
  const command = reimagen
    .command("explain")
    .description("Show every dispatch of a generation, without generating.")
    .addOption(retrieveOption("neighbours, 0 to 8").default(defaultK))
    .addOption(new Option("--stage <name>", "one stage alone (default: all)").choices(["step", "request", "load"]))
    .option("--svg <file>", "also draw the graph");
  addOptions(command, [...samplingOptions(), adapterOption(), modelOption(), tuningOption(), jsonOption()]);
  command.addHelpText("after", exitCodeHelp);
  command.action(async (flags: ExplainFlags & { retrieve: number }) => {
    const { explain } = await import("./commands/explain.ts");
    await explain({
      ...flags,
      k: flags.retrieve,
      settings: settingsOf(givenFlags(command, flags)),
      stage: flags.stage,
      svg: flags.svg,
      tuning: flags.tuning,
    });
  });
}

function addTune(reimagen: Command, signal: AbortSignal): void {
  const command = reimagen
    .command("tune")
    .description("Measure every kernel that could serve such a generation here; `generate` then takes the fastest.")
    .addOption(retrieveOption("neighbours, 0 to 8").default(defaultK))
    .option("--retune", "measure anew what was measured before", false);
  addOptions(command, [...samplingOptions(), adapterOption(), modelOption(), tuningOption(), jsonOption()]);
  command.addHelpText("after", exitCodeHelp);
  command.action(async (flags: CommonFlags & SamplingFlags & { retrieve: number; retune: boolean }) => {
    const { tune } = await import("./commands/tune.ts");
    await tune(
      { ...flags, k: flags.retrieve, settings: settingsOf(givenFlags(command, flags)), tuning: flags.tuning },
      signal,
    );
  });
}

function addOptions(command: Command, options: readonly Option[]): void {
  for (const option of options) command.addOption(option);
}

// What the user sets counts for the example too.
function exampleFlags(command: Command): Partial<SamplingFlags> {
  return Object.fromEntries(
    Object.entries(example.flags).filter(([name]) => command.getOptionValueSource(name) === "default"),
  );
}

function introduceExample(): void {
  note(`No prompt was given, so this draws an example: "${example.prompt}".`);
  note(`The model never saw ${example.entity} in training; it has only the neighbours below to go by.\n`);
}

function suggest(): void {
  const command = process.env.npm_lifecycle_event === "start" ? "npm start --" : "reimagen generate";
  note(`\nTo draw something else: ${command} "a fire under a starry night sky"    (more: ${command} --help)`);
}

/** One sentence on stderr, with `--json` an object on stdout; returns the exit code. */
function fail(error: unknown, json: boolean): number {
  const isUsage = error instanceof CommanderError;
  // The text of help or version was asked for, and is out.
  if (isUsage && error.exitCode === 0) return 0;
  if (isUsage && error.code === "commander.help") return usageExitCode;
  const message = sentence(error);
  process.stderr.write(`reimagen: ${message}\n`);
  const code = isUsage ? "argument" : error instanceof ReimagenError ? error.code : "unexpected";
  if (code === "unexpected" && error instanceof Error) process.stderr.write(`${error.stack}\n`);
  if (json) jsonResult({ error: { code, message } });
  return isUsage ? usageExitCode : exitCodeOf(error);
}

function sentence(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof CommanderError) return message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ");
  return error instanceof ReimagenError ? message : `unexpected error: ${message}`;
}

async function main(args: readonly string[]): Promise<void> {
  const abort = new AbortController();
  // The first stops cleanly at the next step; the second at once: nothing is ever half written.
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.on(signal, () => {
      if (abort.signal.aborted) process.exit(130);
      abort.abort();
    });
  // A reader that has seen enough, such as `head`.
  process.stdout.on("error", () => process.exit(0));
  try {
    await (await program(abort.signal)).parseAsync(args, { from: "user" });
  } catch (error) {
    process.exitCode = fail(error, args.includes("--json"));
  }
}

await main(process.argv.slice(2));
