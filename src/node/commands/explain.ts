// `reimagen explain`: every dispatch of a generation, without generating.
import type { NeighborPicture } from "../../diffusion/neighbors.ts";
import { planOf } from "../../diffusion/request.ts";
import type { PartialSettings } from "../../diffusion/settings.ts";
import { type Plan, persistentBytes } from "../../graph/compile.ts";
import { explainSvg, explainTable, explain as listDispatches } from "../../graph/explain.ts";
import { type Stage, stages } from "../../graph/graph.ts";
import { readTokenizer } from "../../io/tokenizer.ts";
import { type ModelConfig, readConfig } from "../../models/config.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openModel } from "../model.ts";
import { adapterName, withGpu } from "./device.ts";
import { checkWritable, writeAll } from "./output.ts";
import { jsonResult, result } from "./terminal.ts";

/** What `explain` is told. */
export interface ExplainOptions {
  readonly prompt: string;
  /** How many neighbours. */
  readonly k: number;
  readonly settings: PartialSettings;
  readonly pictures: number;
  readonly storage: "f32" | "f16";
  readonly adapter: AdapterChoice;
  /** Folder. */
  readonly model: string;
  /** One stage alone; undefined for all. */
  readonly stage: Stage | undefined;
  /** File for a drawing of the graph. */
  readonly svg: string | undefined;
  readonly json: boolean;
}

/** Prints the plan of such a generation. Throws ReimagenError. */
export async function explain(options: ExplainOptions): Promise<void> {
  const { svg, json } = options;
  if (svg) await checkWritable(svg);
  const { plan, adapter } = await plannedOf(options);
  const shown = options.stage ? [options.stage] : stages;
  if (svg) await writeAll(new Map([[svg, explainSvg(plan, shown)]]));
  if (!json) return result(explainTable(plan, shown));
  const { arenas, lowerBound } = plan.memory;
  const memory = { arenaBytes: arenas, lowerBoundBytes: lowerBound, persistentBytes: persistentBytes(plan) };
  jsonResult({ adapter, memory, dispatches: listDispatches(plan, shown), svg: svg ?? null });
}

async function plannedOf(options: ExplainOptions): Promise<{ plan: Plan; adapter: string }> {
  const { prompt, k, settings, pictures, storage } = options;
  const files = await openModel(options.model);
  const config = readConfig(`${files.name}/config.json`, files.config);
  const tokenizer = readTokenizer(`${files.name}/tokenizer.json`, files.tokenizer);
  return withGpu(options.adapter, async (gpu) => {
    const request = { prompt, neighbors: Array.from({ length: k }, () => blank(config)), settings, pictures };
    return { plan: planOf({ config, tokenizer, storage }, request, gpu.traits), adapter: adapterName(gpu.info) };
  });
}

function blank({ size }: ModelConfig): NeighborPicture {
  return { picture: { width: size, height: size, pixels: new Uint8ClampedArray(size * size * 4) }, caption: "" };
}
