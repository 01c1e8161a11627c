// The peer's side of `step.ts`, in a process of its own: the same step in onnxruntime-node.
import { loadedDrivers } from "./machine.ts";
import { type Feeds, openPeer, type PeerStep } from "./peers/onnxruntime.ts";
import { benchAdapter } from "./shipped.ts";
import { serve } from "./worker.ts";

const [adapter = "", folder = "", provider = ""] = process.argv.slice(2);
let peer: PeerStep;
let feeds: Feeds;

/** Opens a session and runs it once on these inputs. */
async function prepare(inputs: Feeds): Promise<{ v: Float32Array; version: string; drivers: string[] }> {
  peer = await openPeer(folder, provider === "cpu" ? "cpu" : "webgpu", benchAdapter(adapter));
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
