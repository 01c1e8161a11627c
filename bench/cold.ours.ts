// Our side of `cold.ts`, in a fresh process: from nothing to a finished picture.
import { describeMachine, type Machine } from "./machine.ts";
import { benchAdapter, neighborsFor, type OpenedGpu, openEngine, openGpu, openNeighbors } from "./shipped.ts";
import { serve } from "./worker.ts";

const prompt = "a moose in the snow";
/** A recipe for few steps. */
const settings = { sampler: "dpm-solver++", steps: 8, seed: 1 } as const;

/** Milliseconds since the clock started, which runs once all modules but Dawn's are imported. */
export type Laps = Readonly<Record<string, number>>;

// Dawn must stay referenced as long as its device.
let opened: OpenedGpu;

/** Draws one picture. */
async function draw(): Promise<{ laps: Laps; imported: number; machine: Machine }> {
  const laps: Record<string, number> = {};
  const start = performance.now();
  const lap = (name: string) => {
    laps[name] = performance.now() - start;
  };
  opened = await openGpu(benchAdapter(process.argv[2] ?? ""));
  const { gpu } = opened;
  lap("device");
  const engine = await openEngine(gpu);
  lap("weights");
  const neighbors = await neighborsFor(await openNeighbors(), prompt, 2);
  lap("neighbours");
  const { pictures } = await engine.generate(
    { prompt, neighbors, settings },
    {
      onCompile: (done, total) => done === total && lap("pipelines"),
      onStep: async (done) => {
        if (done !== 1) return;
        await gpu.idle();
        lap("first step");
      },
    },
  );
  lap("picture");
  if (pictures[0]!.pixels.every((value) => value === pictures[0]!.pixels[0])) throw new Error("the picture is blank");
  return { laps, imported: start, machine: await describeMachine(gpu) };
}

/** What the parent may call. */
const methods = { draw };
export type ColdMethods = typeof methods;
serve(methods);
