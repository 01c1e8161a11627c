// The peers that run in a browser, and we beside them: called from Node, which reads what they return.
import { requestGpu } from "../../../src/gpu/gpu.ts";
import { relativeError } from "../../lab/check.ts";
import { ours } from "../ours.ts";
import type { Engine, Task } from "../tasks.ts";
import { ort } from "./ort.ts";
import { tfjs } from "./tfjs.ts";

/** One engine's runs of a task. */
export interface BrowserRuns {
  readonly engine: string;
  /** Relative L2 distance from our result. */
  readonly error: number;
  /** Milliseconds from x on the CPU to y on the CPU. */
  readonly times: readonly number[];
}

const gpu = await requestGpu();
const engines: Engine[] = [ours(gpu, "reimagen"), ort(), await tfjs()];

/** Opens a task in every engine, compares the results, then times them in turns. */
async function compare(task: Task, repeats: number): Promise<BrowserRuns[]> {
  const opened = await Promise.all(engines.map((engine) => engine.open(task)));
  const results: Float32Array[] = [];
  for (const { run, common } of opened) results.push(common(await run()));
  const times = opened.map((): number[] => []);
  for (let i = 0; i < repeats; i++)
    for (const [at, { run }] of opened.entries()) {
      const start = performance.now();
      await run();
      times[at]!.push(performance.now() - start);
    }
  for (const engine of opened) engine.dispose();
  return engines.map(({ name }, i) => ({
    engine: name,
    error: relativeError(results[i]!, results[0]!),
    times: times[i]!,
  }));
}

/** What Node may call. */
export interface PeersPage {
  readonly compare: typeof compare;
  readonly adapter: string;
}

const { description, vendor, architecture } = gpu.info;
Object.assign(window, { peers: { compare, adapter: description || `${vendor} ${architecture}` } satisfies PeersPage });
