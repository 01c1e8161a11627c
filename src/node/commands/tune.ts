// `reimagen tune`: measures every kernel that could serve a generation on this adapter, and keeps what it found.
import { createEngine } from "../../diffusion/engine.ts";
import { blankRequest } from "../../diffusion/request.ts";
import type { PartialSettings } from "../../diffusion/settings.ts";
import { loadTuning, saveTuning, type Tuned } from "../../graph/tuning.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openModel } from "../model.ts";
import { fileTuningStore } from "../tuning-store.ts";
import { adapterName, withGpu } from "./device.ts";
import { jsonResult, note, openProgress, result } from "./terminal.ts";

/** What `tune` is told. */
export interface TuneOptions {
  /** How many neighbours. */
  readonly k: number;
  readonly settings: PartialSettings;
  readonly pictures: number;
  readonly storage: "f32" | "f16";
  readonly adapter: AdapterChoice;
  /** Folders. */
  readonly model: string;
  readonly tuning: string | undefined;
  /** Forget what was measured before. */
  readonly retune: boolean;
  readonly json: boolean;
}

/** Measures, keeps and prints. Throws ReimagenError, and keeps nothing then. */
export async function tune(options: TuneOptions, signal: AbortSignal): Promise<void> {
  const { storage, retune, json } = options;
  const files = await openModel(options.model);
  const store = fileTuningStore(options.tuning);
  const { tuning, known, adapter, seconds } = await withGpu(options.adapter, async (gpu) => {
    const known = retune ? new Map<string, Tuned>() : await loadTuning(store, gpu.info);
    const adapter = adapterName(gpu.info);
    note(`Measuring kernels on ${adapter}.`);
    const progress = await openProgress();
    try {
      const engine = await createEngine(gpu, files, {
        storage,
        signal,
        tuning: known,
        onProgress: (done, total) => progress.show("loading weights", done, total),
      });
      const begun = performance.now();
      const tuning = await engine.tune(blankRequest(options, engine.config), {
        signal,
        onProgress: (done, total) => progress.show("measuring", done, total),
      });
      const seconds = (performance.now() - begun) / 1000;
      await saveTuning(store, gpu.info, tuning);
      return { tuning, known, adapter, seconds };
    } finally {
      progress.stop();
    }
  });
  const found = [...tuning].filter(([kind]) => !known.has(kind));
  if (json) return jsonResult({ adapter, seconds, known: known.size, found: Object.fromEntries(found) });
  for (const [kind, tuned] of found) result(`${kind}\n    ${listing(tuned)}`);
  result(`${found.length} kinds of dispatch measured in ${seconds.toFixed(1)} s, ${known.size} known before`);
}

function listing({ ranking, wrong }: Tuned): string {
  const times = ranking.map(({ variant, milliseconds }) => `${variant} ${milliseconds.toPrecision(3)} ms`);
  return [...times, ...wrong.map((variant) => `${variant} WRONG`)].join(", ");
}
