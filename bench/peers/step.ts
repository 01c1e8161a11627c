// One step of the base U-Net at batch 2 beside onnxruntime-node on the same adapter, weights and inputs; equal output before any time.
import { setTimeout as pause } from "node:timers/promises";
import type { NodeLab } from "../command.ts";
import { relativeError } from "../lab/check.ts";
import { type Cell, type Measurement, middleHalf, type Section, show } from "../lab/report.ts";
import { spreadOf } from "../lab/statistics.ts";
import { startWorker } from "../worker.ts";
import { type Provider, peerFacts } from "./onnxruntime.ts";
import type { StepMethods } from "./step.ours.ts";
import type { PeerMethods } from "./step.peer.ts";

/** Relative L2 distance of the two results that still counts as equal: both compute in f32, in different orders. */
const TOLERANCE = 1e-3;

/** Before each step: thread pools spin for a while after their work, and would take the next one's cores. */
const REST_MS = 100;

/** Compares and times. Throws where the results differ, or the engines run on different drivers. */
export async function stepBesidePeer({ adapter, repeats, say }: NodeLab): Promise<Omit<Section, "title">> {
  say("peers: the step");
  const { gflop, contextGflop } = await peerFacts();
  const ours = startWorker<StepMethods>(new URL("./step.ours.ts", import.meta.url), { argv: [adapter] });
  const startPeer = (provider: Provider) =>
    startWorker<PeerMethods>(new URL("./step.peer.ts", import.meta.url), { argv: [adapter, provider] });
  const peers = { webgpu: startPeer("webgpu"), cpu: startPeer("cpu") };
  try {
    const { machine, inputs, v, requestMs } = await ours.call("prepare");
    const webgpu = await peers.webgpu.call("prepare", inputs);
    const cpu = await peers.cpu.call("prepare", inputs);
    if (webgpu.drivers.join() !== machine.drivers.join())
      throw new Error(`we run on ${machine.drivers.join()}, the peer on ${webgpu.drivers.join()}: set VK_DRIVER_FILES`);
    const errors = [relativeError(webgpu.v, v), relativeError(cpu.v, v)] as const;
    if (!errors.every((error) => error <= TOLERANCE))
      throw new Error(`the steps' results differ by ${errors.map(show).join(" and ")}, more than ${TOLERANCE}`);
    const spreads = (await interleave([ours, peers.webgpu, peers.cpu], repeats)).map(spreadOf);
    const mine = spreads[0]!.median;
    const names = ["reimagen", "onnxruntime-node, WebGPU", "onnxruntime-node, CPU"];
    const work = [gflop - contextGflop, gflop, gflop];
    return {
      tables: [
        {
          caption: "One step of the base U-Net, batch 2, two neighbours each, f32",
          columns: ["engine", "ms", "middle half", "GFLOP", "GFLOP/s", "x ours"],
          rows: spreads.map((ms, i): Cell[] => [
            names[i]!,
            ms.median,
            middleHalf(ms),
            work[i]!,
            work[i]! / (ms.median / 1e3),
            ms.median / mine,
          ]),
        },
      ],
      notes: [
        `The step: **${show(spreads[1]!.median / mine)}x** as fast as the peer's WebGPU provider on this adapter (${webgpu.version}); medians of ${repeats} interleaved runs, from inputs on the CPU to the result on the CPU.`,
        `Equal first: relative L2 distance ${show(errors[0])} from the peer's WebGPU result, ${show(errors[1])} from its CPU result (at most ${TOLERANCE}).`,
        `${contextGflop.toFixed(2)} GFLOP of the peer's step make keys and values of text and neighbours, which our plan computes once a request: its request stage, texts and neighbours encoded too, took ${requestMs.toFixed(0)} ms.`,
      ],
      measurements: spreads.map(
        (ms, i): Measurement => ({ name: `step: ${names[i]}`, unit: "ms", better: "less", ...ms }),
      ),
    };
  } finally {
    for (const worker of [ours, peers.webgpu, peers.cpu]) worker.stop();
  }
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
