// Cold start: our first finished picture beside onnxruntime-node's first U-Net step, each in fresh processes without shader caches:
// npm run bench:cold -- [--adapter gpu|software] [--repeats N] [--ort DIR] [--out].
import { parseArgs } from "node:util";
import type { ColdMethods, Laps } from "./cold.ours.ts";
import type { ColdPeerMethods } from "./cold.peer.ts";
import { busyShare, type Machine } from "./machine.ts";
import { peerFacts } from "./peers/onnxruntime.ts";
import { type Cell, median, publish } from "./report.ts";
import { benchAdapter, positiveInteger } from "./shipped.ts";
import { type Methods, startWorker } from "./worker.ts";

/** Turns off Mesa's and NVIDIA's caches of compiled shaders on disk. */
const noShaderCaches = { MESA_SHADER_CACHE_DISABLE: "true", __GL_SHADER_DISK_CACHE: "0" };

const { values } = parseArgs({
  options: {
    adapter: { type: "string", default: "software" },
    repeats: { type: "string", default: "3" },
    ort: { type: "string", default: new URL("./peers", import.meta.url).pathname },
    out: { type: "boolean", default: false },
  },
});
const adapter = benchAdapter(values.adapter);
const repeats = positiveInteger("--repeats", values.repeats);
await peerFacts(values.ort);

const busy = await busyShare();
/** One start: laps after import, and how long the process had run by then. */
interface Start {
  readonly laps: Laps;
  readonly imported: number;
}
const ours: Start[] = [];
const peers: Start[] = [];
let machine: Machine | undefined;
let version = "";
for (let i = 0; i < repeats; i++) {
  const drawn = await inFreshProcess<ColdMethods, "draw">("./cold.ours.ts", [adapter], "draw");
  machine ??= drawn.machine;
  ours.push(drawn);
  const stepped = await inFreshProcess<ColdPeerMethods, "firstStep">(
    "./cold.peer.ts",
    [adapter, values.ort],
    "firstStep",
  );
  if (stepped.drivers.join() !== machine.drivers.join())
    throw new Error(`we run on ${machine.drivers.join()}, the peer on ${stepped.drivers.join()}: set VK_DRIVER_FILES`);
  version = stepped.version;
  peers.push(stepped);
}

const lap = (starts: readonly Start[], name: string) => median(starts.map(({ laps }) => laps[name]!)) / 1e3;
const lapsOf = (engine: string, starts: readonly Start[]): Cell[][] => [
  [engine, "modules imported", median(starts.map(({ imported }) => imported)) / 1e3, ""],
  ...Object.keys(starts[0]!.laps).map((name) => [engine, name, lap(starts, name), spread(starts, name)]),
];
const picture = lap(ours, "picture");
const step = lap(peers, "first step");
await publish(
  {
    bench: "cold",
    busy,
    title: "Cold start: our first picture, the peer's first step",
    machine: { ...machine!, versions: { ...machine!.versions, "onnxruntime-node": version } },
    table: {
      columns: ["engine", "until", "s", "least-most"],
      rows: [...lapsOf("reimagen", ours), ...lapsOf("onnxruntime-node, WebGPU", peers)],
    },
    notes: [
      `Our first picture comes **${Math.abs(step - picture).toFixed(1)} s ${picture < step ? "before" : "after"}** the peer's first step (${picture.toFixed(1)} s and ${step.toFixed(1)} s).`,
      `Medians of ${repeats} fresh processes each, in turns; shader caches off, files in the system's cache. The clock starts when the modules are imported, the native WebGPU libraries not yet; the first line is what the process had spent by then.`,
      "Ours: 8 steps of DPM-Solver++ with guidance (batch 2) and two neighbours; device, weights, retrieval and compilation included. Pipelines may be compiled in full only when they first run.",
    ],
    figures: { picture, step },
  },
  values.out,
);

async function inFreshProcess<M extends Methods, Name extends keyof M & string>(
  module: string,
  argv: readonly string[],
  method: Name,
): Promise<Awaited<ReturnType<M[Name]>>> {
  const worker = startWorker<M>(new URL(module, import.meta.url), { argv, environment: noShaderCaches });
  try {
    return await worker.call(method);
  } finally {
    worker.stop();
  }
}

function spread(starts: readonly Start[], name: string): string {
  const seconds = starts.map(({ laps }) => laps[name]! / 1e3);
  return `${Math.min(...seconds).toFixed(2)}-${Math.max(...seconds).toFixed(2)}`;
}
