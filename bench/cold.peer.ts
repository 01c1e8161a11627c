// The peer's side of `cold.ts`, in a fresh process: from nothing to the end of one step.
import type { Laps } from "./cold.ours.ts";
import { loadedDrivers } from "./machine.ts";
import { openPeer, peerFacts } from "./peers/onnxruntime.ts";
import { benchAdapter } from "./shipped.ts";
import { serve } from "./worker.ts";

const [adapter = "", folder = ""] = process.argv.slice(2);

/** Runs one step; what it is fed does not matter to its time. */
async function firstStep(): Promise<{ laps: Laps; imported: number; version: string; drivers: string[] }> {
  const { inputs } = await peerFacts(folder);
  const feeds = Object.entries(inputs).map(([name, shape]) => {
    const count = shape.reduce((product, extent) => product * extent, 1);
    return [name, { data: Float32Array.from({ length: count }, (_, i) => Math.sin(i)), shape }] as const;
  });
  const start = performance.now();
  const peer = await openPeer(folder, "webgpu", benchAdapter(adapter));
  const session = performance.now() - start;
  await peer.run(Object.fromEntries(feeds));
  const laps = { session, "first step": performance.now() - start };
  return { laps, imported: start, version: peer.version, drivers: await loadedDrivers() };
}

/** What the parent may call. */
const methods = { firstStep };
export type ColdPeerMethods = typeof methods;
serve(methods);
