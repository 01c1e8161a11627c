// `reimagen explain`: every dispatch of a generation, without generating.
import { readDefinition } from "../../diffusion/engine.ts";
import { blankRequest, planOf } from "../../diffusion/request.ts";
import type { PartialSettings } from "../../diffusion/settings.ts";
import { type Plan, persistentBytes } from "../../graph/compile.ts";
import { explainSvg, explainTable, explain as listDispatches } from "../../graph/explain.ts";
import { type Stage, stages } from "../../graph/graph.ts";
import { loadTuning } from "../../graph/tuning.ts";
import { loadKernelsFor } from "../../ops/lazy_kernels.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openModel } from "../model.ts";
import { fileTuningStore } from "../tuning-store.ts";
import { adapterName, withGpu } from "./device.ts";
import { checkWritable, writeAll } from "./output.ts";
import { jsonResult, result } from "./terminal.ts";

/** What `explain` is told. */
export interface ExplainOptions {
  /** How many neighbours. */
  readonly k: number;
  readonly settings: PartialSettings;
  readonly pictures: number;
  readonly storage: "f32" | "f16";
  readonly adapter: AdapterChoice;
  /** Folders. */
  readonly model: string;
  readonly tuning: string | undefined;
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
  const { storage } = options;
  const files = await openModel(options.model);
  const { config, tokenizer } = readDefinition(files);
  return withGpu(options.adapter, async (gpu) => {
    const tuning = await loadTuning(fileTuningStore(options.tuning), gpu.info);
    await loadKernelsFor(gpu.traits);
    const request = blankRequest(options, config);
    return {
      plan: planOf({ config, tokenizer, storage }, request, gpu.traits, tuning),
      adapter: adapterName(gpu.info),
    };
  });
}
