// One step of the base U-Net at batch 2 beside onnxruntime-node on the same adapter and PyTorch, same weights and inputs; equal output before any time.
import { setTimeout as pause } from "node:timers/promises";
import type { NodeLab } from "../command.ts";
import { relativeError } from "../lab/check.ts";
import { type Cell, type Measurement, middleHalf, type Section, show } from "../lab/report.ts";
import { spreadOf } from "../lab/statistics.ts";
import { startWorker } from "../worker.ts";
import { type Provider, peerFacts } from "./onnxruntime.ts";
import type { StepMethods } from "./step.ours.ts";
import type { PeerMethods } from "./step.peer.ts";
import { startTorch } from "./torch.ts";

/** Relative L2 distance of the two results that still counts as equal: both compute in f32, in different orders. */
const TOLERANCE = 1e-3;

/** Before each step: thread pools spin for a while after their work, and would take the next one's cores. */
const REST_MS = 100;

/** An engine whose step is timed beside ours. */
interface Peer {
  readonly name: string;
  readonly version: string;
  /** Its result for our inputs. */
  readonly v: Float32Array;
  step(): Promise<number>;
}

/** Compares and times. Throws where the results differ, or the engines run on different drivers. */
export async function stepBesidePeer({ adapter, repeats, say }: NodeLab): Promise<Omit<Section, "title">> {
  say("peers: the step");
  const { gflop, contextGflop } = await peerFacts();
  const ours = startWorker<StepMethods>(new URL("./step.ours.ts", import.meta.url), { argv: [adapter] });
  const stops = [() => ours.stop()];
  try {
    const { machine, inputs, v, requestMs } = await ours.call("prepare");
    const onnxruntime = async (provider: Provider, name: string): Promise<Peer> => {
      const worker = startWorker<PeerMethods>(new URL("./step.peer.ts", import.meta.url), {
        argv: [adapter, provider],
      });
      stops.push(() => worker.stop());
      const { drivers, ...prepared } = await worker.call("prepare", inputs);
      if (provider === "webgpu" && drivers.join() !== machine.drivers.join())
        throw new Error(`we run on ${machine.drivers.join()}, the peer on ${drivers.join()}: set VK_DRIVER_FILES`);
      return { name, ...prepared, step: () => worker.call("step") };
    };
    const peers = [
      await onnxruntime("webgpu", "onnxruntime-node, WebGPU"),
      await onnxruntime("cpu", "onnxruntime-node, CPU"),
    ];
    const torch = await startTorch();
    if (torch) stops.push(() => torch.stop());
    for (const way of torch?.ways ?? []) {
      const { version } = torch!;
      peers.push({
        name: `PyTorch, ${way}`,
        version,
        v: await torch!.prepare(way, inputs),
        step: () => torch!.step(way),
      });
    }
    const errors = peers.map((peer) => relativeError(peer.v, v));
    for (const [i, { name }] of peers.entries())
      if (!(errors[i]! <= TOLERANCE))
        throw new Error(`${name}: its step's result differs from ours by ${show(errors[i]!)}, more than ${TOLERANCE}`);
    const steps = [() => ours.call("step"), ...peers.map(({ step }) => step)];
    const spreads = (await interleave(steps, repeats)).map(spreadOf);
    const mine = spreads[0]!.median;
    const names = ["reimagen", ...peers.map(({ name }) => name)];
    return {
      tables: [
        {
          caption: "One step of the base U-Net, batch 2, two neighbours each, f32",
          columns: ["engine", "ms", "middle half", "GFLOP", "GFLOP/s", "x ours"],
          rows: spreads.map((ms, i): Cell[] => {
            const work = i === 0 ? gflop - contextGflop : gflop;
            return [names[i]!, ms.median, middleHalf(ms), work, work / (ms.median / 1e3), ms.median / mine];
          }),
        },
      ],
      notes: [
        `The step: **${show(spreads[1]!.median / mine)}x** as fast as the peer's WebGPU provider on this adapter (${peers[0]!.version}); medians of ${repeats} interleaved runs, from inputs on the CPU to the result on the CPU.`,
        `Equal first (relative L2 distance from ours of at most ${TOLERANCE}): ${peers.map(({ name, version }, i) => `${name} (${version}) ${show(errors[i]!)}`).join("; ")}.`,
        ...(torch ? [] : ["PyTorch is not here: python3 cannot import torch."]),
        `${contextGflop.toFixed(2)} GFLOP of the peers' step make keys and values of text and neighbours, which our plan computes once a request: its request stage, texts and neighbours encoded too, took ${requestMs.toFixed(0)} ms.`,
      ],
      measurements: spreads.map(
        (ms, i): Measurement => ({ name: `step: ${names[i]}`, unit: "ms", better: "less", ...ms }),
      ),
    };
  } finally {
    for (const stop of stops) stop();
  }
}

/** Times of each engine's steps; they take turns, so that whatever else the machine does falls on all of them. */
async function interleave(steps: readonly (() => Promise<number>)[], repeats: number) {
  const times = steps.map((): number[] => []);
  for (let i = 0; i < repeats; i++)
    for (const [at, step] of steps.entries()) {
      await pause(REST_MS);
      times[at]!.push(await step());
    }
  return times;
}
