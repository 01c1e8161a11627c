// The peer's side of `step.ts`, in a process of its own: the same step in onnxruntime-node.
import type { BenchAdapter } from "../command.ts";
import { loadedDrivers } from "../machine.ts";
import { serve } from "../worker.ts";
import { type Feeds, openStep, type PeerModel, type Provider } from "./onnxruntime.ts";

const [adapter, provider] = process.argv.slice(2) as [BenchAdapter, Provider];
let peer: PeerModel;
let feeds: Feeds;

/** Opens a session and runs it once on these inputs. */
async function prepare(inputs: Feeds): Promise<{ v: Float32Array; version: string; drivers: string[] }> {
  peer = await openStep(provider, adapter);
  feeds = inputs;
  const v = await peer.run(feeds);
  return { v: v.slice(), version: peer.version, drivers: await loadedDrivers() };
}

/** Milliseconds of one step, from its inputs on the CPU to its result on the CPU. */
async function step(): Promise<number> {
  const start = performance.now();
  await peer.run(feeds);
  return performance.now() - start;
}

/** What the parent may call. */
const methods = { prepare, step };
export type PeerMethods = typeof methods;
serve(methods);
