// The shipped model's heavy ops beside other engines: in Node beside onnxruntime-node, in Chromium beside onnxruntime-web and tfjs.
import { setTimeout } from "node:timers/promises";
import type { NodeLab } from "../command.ts";
import { relativeError } from "../lab/check.ts";
import { type Cell, type Measurement, middleHalf, type Section, show } from "../lab/report.ts";
import { type Spread, spreadOf } from "../lab/statistics.ts";
import { startWorker } from "../worker.ts";
import type { OpsMethods } from "./ops.child.ts";
import { ours } from "./ours.ts";
import { flopsOfTask, shippedTasks, type Task } from "./tasks.ts";

/** Relative L2 distance of two results that still counts as equal. */
const TOLERANCE = 1e-3;
/** Milliseconds before a run: threads of the engine before it may look for more work for a while, on the cores that a software adapter needs. */
const rest = 50;

/** One engine at one task; without `ms` where its result is another than ours. */
interface Run {
  readonly task: Task;
  readonly engine: string;
  readonly error: number;
  readonly ms: Spread | undefined;
}

/** Runs every task in every engine. A result that is not ours is reported and not timed. */
export async function opsBesidePeers(lab: NodeLab): Promise<Omit<Section, "title">> {
  const tasks = shippedTasks(lab.config, lab.gpu.traits.software).filter(({ name }) => name.includes(lab.filter));
  const notes: string[] = [];
  const native = await inNode(lab, tasks);
  const browser = await inBrowser(lab, tasks).catch((error: Error) => {
    notes.push(`Chromium's part did not run: ${error.message.split("\n")[0]}`);
    return { adapter: "", runs: [] };
  });
  const tables = [
    tableOf("Heavy ops in Node", native),
    ...(browser.runs.length ? [tableOf(`Heavy ops in Chromium, on ${browser.adapter}`, browser.runs)] : []),
  ];
  const different = [...native, ...browser.runs].filter(({ ms }) => !ms);
  return {
    tables,
    notes: [
      `Each from its input on the CPU to its result on the CPU, weights on the device, in turns; equal results first (relative L2 distance of at most ${TOLERANCE}). Layouts are each engine's own; transposing is not timed.`,
      ...(different.length
        ? [
            `**Not equal**, and not timed: ${different.map(({ engine, task }) => `${engine} at ${task.name}`).join("; ")}.`,
          ]
        : []),
      ...notes,
    ],
    measurements: [...measurements("Node", native), ...measurements("Chromium", browser.runs)],
  };
}

async function inNode({ gpu, adapter, repeats, say, machine }: NodeLab, tasks: readonly Task[]): Promise<Run[]> {
  const child = (provider: string) =>
    startWorker<OpsMethods>(new URL("./ops.child.ts", import.meta.url), { argv: [adapter, provider] });
  const peers = [
    { name: "onnxruntime-node, WebGPU", worker: child("webgpu") },
    { name: "onnxruntime-node, CPU", worker: child("cpu") },
  ];
  const engine = ours(gpu, "reimagen");
  const runs: Run[] = [];
  try {
    for (const [i, task] of tasks.entries()) {
      say(`peers in Node: ${i + 1}/${tasks.length} ${task.name}`);
      const own = await engine.open(task);
      const expected = await own.run();
      const opened = await Promise.all(peers.map(({ worker }) => worker.call("open", task)));
      const drivers = opened[0]!.drivers.join();
      if (drivers !== machine.drivers.join())
        throw new Error(`we run on ${machine.drivers.join()}, the peer on ${drivers}: set VK_DRIVER_FILES`);
      const times: number[][] = [[], ...peers.map(() => [])];
      for (let round = 0; round < repeats; round++) {
        await setTimeout(rest);
        const start = performance.now();
        await own.run();
        times[0]!.push(performance.now() - start);
        for (const [at, { worker }] of peers.entries()) {
          await setTimeout(rest);
          times[at + 1]!.push(await worker.call("run"));
        }
      }
      own.dispose();
      const errors = [0, ...opened.map(({ y }) => relativeError(y, expected))];
      runs.push(...[engine, ...peers].map(({ name }, at) => runOf(task, name, errors[at]!, times[at]!)));
    }
    return runs;
  } finally {
    for (const { worker } of peers) worker.stop();
  }
}

async function inBrowser({ adapter, repeats, say }: NodeLab, tasks: readonly Task[]) {
  // Loaded here, as nothing else needs a bundler and a browser's driver in memory.
  const { openPeersBrowser } = await import("./browser.ts");
  const browser = await openPeersBrowser(adapter);
  const runs: Run[] = [];
  try {
    for (const [i, task] of tasks.entries()) {
      say(`peers in Chromium: ${i + 1}/${tasks.length} ${task.name}`);
      for (const { engine, error, times } of await browser.compare(task, repeats))
        runs.push(runOf(task, engine, error, times));
    }
    return { adapter: browser.adapter, runs };
  } finally {
    await browser.close();
  }
}

function runOf(task: Task, engine: string, error: number, times: readonly number[]): Run {
  return { task, engine, error, ms: error <= TOLERANCE ? spreadOf(times) : undefined };
}

function tableOf(caption: string, runs: readonly Run[]) {
  const mine = new Map(
    runs.flatMap(({ engine, task, ms }) => (engine === "reimagen" && ms ? [[task, ms.median]] : [])),
  );
  const rows = runs.map(({ task, engine, error, ms }): Cell[] => {
    const start = [task.name, engine];
    if (!ms) return [...start, "NOT EQUAL", "", "", "", show(error)];
    const rate = flopsOfTask(task) / (ms.median / 1e3) / 1e9;
    return [...start, ms.median, middleHalf(ms), rate, ms.median / mine.get(task)!, show(error)];
  });
  return { caption, columns: ["op", "engine", "ms", "middle half", "GFLOP/s", "x ours", "distance"], rows };
}

function measurements(place: string, runs: readonly Run[]): Measurement[] {
  return runs.flatMap(({ task, engine, ms }) =>
    ms ? [{ name: `${place}: ${task.name}: ${engine}`, unit: "ms", better: "less" as const, ...ms }] : [],
  );
}
