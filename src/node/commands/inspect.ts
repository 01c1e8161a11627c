// `reimagen inspect DIR`: what a pipeline's folder holds, what it would need here, and what stands in the way; no weights are read.
import {
  type InspectedPart,
  type InspectedPipeline,
  inspectPipeline,
  storages,
} from "../../diffusion/pipeline/inspect.ts";
import { showBytes, totalBytes } from "../../diffusion/pipeline/memory.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openFolder } from "../folder.ts";
import { adapterName, withGpu } from "./device.ts";
import { table } from "./table.ts";
import { jsonResult, result } from "./terminal.ts";

/** What `inspect` is told. */
export interface InspectOptions {
  readonly adapter: AdapterChoice;
  readonly json: boolean;
}

/** Prints it. Throws ReimagenError. */
export async function inspect(path: string, { adapter, json }: InspectOptions): Promise<void> {
  const folder = await openFolder(path);
  try {
    const { inspected, name, buffer } = await withGpu(adapter, async (gpu) => ({
      inspected: await inspectPipeline(folder, gpu.traits),
      name: adapterName(gpu.info),
      buffer: Math.min(gpu.traits.limits.maxBufferSize, gpu.traits.limits.maxStorageBufferBindingSize),
    }));
    if (json) jsonResult({ adapter: name, largestBuffer: buffer, ...inspected });
    else result(listing(inspected, `${name}, with buffers of at most ${showBytes(buffer)}`));
  } finally {
    await folder.close();
  }
}

const names = Object.keys(storages) as (keyof typeof storages)[];

function listing(pipeline: InspectedPipeline, adapter: string): string {
  const { parts, passedOver, unsupported } = pipeline;
  const section = (title: string, lines: readonly string[]) =>
    lines.length ? [[title, ...lines.map((line) => `  ${line}`)].join("\n")] : [];
  return [
    pipeline.class,
    ...section(
      "Parts",
      parts.map(({ name, architecture }) => `${name}: ${architecture}`),
    ),
    ...(parts.length ? [table(heading, parts.map(row))] : []),
    ...section("Checkpoints", parts.map(checkpointLine)),
    ...section(
      `On ${adapter} and one part at a time in its memory`,
      names.map((name) => memoryLine(parts, name)),
    ),
    ...section("Passed over, as it changes nothing of what is drawn", passedOver),
    ...section("In the way", unsupported),
  ].join("\n\n");
}

const heading = ["part", "parameters", "GFLOP", ...names.map((name) => `weights ${name}`), "working memory f32", "f16"];

function row({ name, parameters, flops, needs }: InspectedPart): string[] {
  const working = (storage: "f32" | "f16") => showBytes(needs[storage].intermediate + needs[storage].persistent);
  const weights = names.map((storage) => showBytes(needs[storage].weights));
  return [name, String(parameters), (flops / 1e9).toPrecision(4), ...weights, working("f32"), working("f16")];
}

function checkpointLine({ name, checkpoint }: InspectedPart): string {
  return "problem" in checkpoint ? checkpoint.problem : `${name}: ${checkpoint.types.join(", ")}, as the config has it`;
}

const flags = { f32: "--storage f32", f16: "--storage f16", q8: "--storage f16 --weights q8" };

function memoryLine(parts: readonly InspectedPart[], storage: keyof typeof storages): string {
  const largest = Math.max(0, ...parts.map(({ needs }) => totalBytes(needs[storage])));
  const refused = parts.flatMap(({ name, needs }) =>
    needs[storage].refusal ? [`${name} does not fit: ${needs[storage].refusal}`] : [],
  );
  return `${flags[storage]}: ${showBytes(largest)}${refused.length ? `; ${refused.join("; ")}` : ""}`;
}
