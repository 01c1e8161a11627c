// A peer's side of the family `startup`, in a fresh process: from nothing to the end of one step.
import type { BenchAdapter } from "../command.ts";
import { loadedDrivers } from "../machine.ts";
import type { StartMethods } from "../startup.ts";
import { serve } from "../worker.ts";
import { openStep, peerFacts } from "./onnxruntime.ts";

const [adapter = ""] = process.argv.slice(2);

const methods: StartMethods = {
  // What the step is fed does not matter to its time.
  async start() {
    const { inputs } = await peerFacts();
    const feeds = Object.entries(inputs).map(([name, shape]) => {
      const count = shape.reduce((product, extent) => product * extent, 1);
      return [name, { data: Float32Array.from({ length: count }, (_, i) => Math.sin(i)), shape }] as const;
    });
    const imported = performance.now();
    const peer = await openStep("webgpu", adapter as BenchAdapter);
    const session = performance.now() - imported;
    await peer.run(Object.fromEntries(feeds));
    const laps = { session, "first step": performance.now() - imported };
    return { laps, imported, drivers: await loadedDrivers() };
  },
};
serve(methods);
