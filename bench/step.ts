// One step of the base U-Net at batch 2, beside onnxruntime-node's WebGPU provider on the same adapter, weights and inputs:
// npm run bench:step -- [--adapter gpu|software] [--repeats N] [--ort DIR] [--out]. Checks equal output before it times anything.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { busyShare } from "./machine.ts";
import { peerFacts } from "./peers/onnxruntime.ts";
import { type Cell, median, publish, quantile } from "./report.ts";
import { benchAdapter, positiveInteger } from "./shipped.ts";
import type { StepMethods } from "./step.ours.ts";
import type { PeerMethods } from "./step.peer.ts";
import { startWorker } from "./worker.ts";

/** Relative L2 distance of the two results that still counts as equal: both compute in f32, in different orders. */
const TOLERANCE = 1e-3;

/** Before each step: thread pools spin for a while after their work, and would take the next one's cores. */
const REST_MS = 100;

const { values } = parseArgs({
  options: {
    adapter: { type: "string", default: "software" },
    repeats: { type: "string", default: "15" },
    ort: { type: "string", default: new URL("./peers", import.meta.url).pathname },
    out: { type: "boolean", default: false },
  },
});
const adapter = benchAdapter(values.adapter);
const repeats = positiveInteger("--repeats", values.repeats);
const facts = await peerFacts(values.ort);

const busy = await busyShare();
const ours = startWorker<StepMethods>(new URL("./step.ours.ts", import.meta.url), { argv: [adapter] });
const startPeer = (provider: string) =>
  startWorker<PeerMethods>(new URL("./step.peer.ts", import.meta.url), { argv: [adapter, values.ort, provider] });
const peers = { webgpu: startPeer("webgpu"), cpu: startPeer("cpu") };
try {
  await compare();
} finally {
  for (const worker of [ours, peers.webgpu, peers.cpu]) worker.stop();
}

async function compare(): Promise<void> {
  const example = await ours.call("prepare");
  const { machine, inputs } = example;
  const webgpu = await peers.webgpu.call("prepare", inputs);
  const cpu = await peers.cpu.call("prepare", inputs);
  if (webgpu.drivers.join() !== machine.drivers.join())
    throw new Error(`we run on ${machine.drivers.join()}, the peer on ${webgpu.drivers.join()}: set VK_DRIVER_FILES`);
  const error = relativeError(webgpu.v, example.v);
  const cpuError = relativeError(cpu.v, example.v);
  console.log(
    `relative L2 distance of our v: ${show(error)} from the peer's WebGPU, ${show(cpuError)} from its CPU result`,
  );
  if (!(error <= TOLERANCE && cpuError <= TOLERANCE)) throw new Error(`the results differ by more than ${TOLERANCE}`);

  const times = await interleave([ours, peers.webgpu, peers.cpu], repeats);
  const [mine, theirs, onCpu] = times.map(median) as [number, number, number];
  const row = (name: string, i: number, work: number): Cell[] => {
    const list = times[i]!;
    const spread = `${quantile(list, 0.25).toFixed(0)}-${quantile(list, 0.75).toFixed(0)}`;
    return [name, median(list), spread, Math.min(...list), work, work / (median(list) / 1e3), median(list) / mine];
  };
  await publish(
    {
      bench: "step",
      busy,
      title: "One step of the base U-Net, batch 2, two neighbours each, f32",
      machine: { ...machine, versions: { ...machine.versions, "onnxruntime-node": webgpu.version } },
      table: {
        columns: ["engine", "median ms", "middle half", "least", "GFLOP", "GFLOP/s", "x ours"],
        rows: [
          row("reimagen", 0, facts.gflop - facts.contextGflop),
          row("onnxruntime-node, WebGPU", 1, facts.gflop),
          row("onnxruntime-node, CPU", 2, facts.gflop),
        ],
      },
      notes: [
        `**${(theirs / mine).toFixed(2)}x** as fast as the peer's WebGPU provider on this adapter; medians of ${repeats} interleaved runs, from inputs on the CPU to the result on the CPU.`,
        `Equal first: relative L2 distance ${show(error)} from the peer's WebGPU result, ${show(cpuError)} from its CPU result (at most ${TOLERANCE}).`,
        `${facts.contextGflop.toFixed(2)} GFLOP of the peer's step make keys and values of text and neighbours, which our plan computes once a request: its request stage, texts and neighbours encoded too, took ${example.requestMs.toFixed(0)} ms.`,
      ],
      figures: { ours: mine, webgpu: theirs, cpu: onCpu, ratio: theirs / mine, error, request: example.requestMs },
    },
    values.out,
  );
}

/** Times of each worker's steps; they take turns, so that whatever else the machine does falls on all of them. */
async function interleave(workers: readonly { call(name: "step"): Promise<number> }[], repeats: number) {
  const times = workers.map((): number[] => []);
  for (let i = 0; i < repeats; i++)
    for (const [at, worker] of workers.entries()) {
      await pause(REST_MS);
      times[at]!.push(await worker.call("step"));
    }
  return times;
}

function relativeError(actual: Float32Array, expected: Float32Array): number {
  let difference = 0;
  let norm = 0;
  expected.forEach((value, i) => {
    difference += (actual[i]! - value) ** 2;
    norm += value ** 2;
  });
  return Math.sqrt(difference / norm);
}

function show(error: number): string {
  return error.toExponential(1);
}
