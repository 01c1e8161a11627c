// Memory over many generations on one engine: npm run bench:soak -- [--generations N] [--adapter gpu|software] [--out].
// Fails when the engine's own bytes grow, or when the process's memory clearly does.
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Engine } from "../src/diffusion/engine.ts";
import type { NeighborPicture } from "../src/diffusion/neighbors.ts";
import { busyShare, describeMachine } from "./machine.ts";
import { type Cell, publish } from "./report.ts";
import { benchAdapter, neighborsFor, openEngine, openGpu, openNeighbors, positiveInteger } from "./shipped.ts";

const prompt = "a moose in the snow";
/** One kind of request more than the engine keeps executors for: each generation makes its own anew and frees another's. */
const kinds = [0, 1, 2, 3, 4];
/** Share of the generations after which memory must have settled. */
const WARM_UP = 0.25;
/** Growth of the process from then to the end that counts as none, as a share of it: over 200 generations its memory wavers by 2%. */
const SLACK = 0.03;

/** Memory after a generation, bytes. */
interface Sample {
  readonly generation: number;
  /** Of buffers that the engine holds on the device. */
  readonly engine: number;
  readonly process: number;
  readonly heap: number;
}

const { values } = parseArgs({
  options: {
    generations: { type: "string", default: "200" },
    adapter: { type: "string", default: "software" },
    out: { type: "boolean", default: false },
  },
});
const generations = positiveInteger("--generations", values.generations);
if (generations < 4 * kinds.length) throw new Error(`--generations must be at least ${4 * kinds.length}`);
setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

const busy = await busyShare();
const { dawn, gpu } = await openGpu(benchAdapter(values.adapter));
const machine = await describeMachine(gpu);
console.log(`${generations} generations on ${dawn.adapter.info.description}`);
const engine = await openEngine(gpu);
const neighbors = await neighborsFor(await openNeighbors(), prompt, Math.max(...kinds));
const samples = await soak(engine, neighbors);
engine.dispose();
await report(samples);
process.exit(process.exitCode);

/** Draws pictures of every kind in turn; samples memory each time the kinds have come round. */
async function soak(engine: Engine, neighbors: readonly NeighborPicture[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let i = 1; i <= generations; i++) {
    const k = kinds[i % kinds.length]!;
    await engine.generate({ prompt, neighbors: neighbors.slice(0, k), settings: { steps: 2, seed: i } });
    if (i % kinds.length) continue;
    collectGarbage();
    const { rss, heapUsed } = process.memoryUsage();
    samples.push({ generation: i, engine: engine.gpu.allocatedBytes, process: rss, heap: heapUsed });
    if (i % (4 * kinds.length) === 0) console.log(row(samples.at(-1)!).join("  "));
  }
  return samples;
}

async function report(samples: readonly Sample[]): Promise<void> {
  const settled = samples.filter(({ generation }) => generation > WARM_UP * generations);
  const grown = Math.max(...samples.map((sample) => sample.engine)) - samples[0]!.engine;
  const { slope, error } = leastSquares(settled.map(({ generation, process }) => [generation, process]));
  const growth = (slope * (1 - WARM_UP) * generations) / settled[0]!.process;
  const left = gpu.allocatedBytes;
  const shown = Math.ceil(samples.length / 10);
  await publish(
    {
      bench: "soak",
      busy,
      title: `Memory over ${generations} generations on one engine`,
      machine,
      table: {
        columns: ["generations", "engine MB", "process MB", "JS heap MB"],
        rows: samples.filter((_, i) => i === 0 || (i + 1) % shown === 0).map(row),
      },
      notes: [
        `Buffers of the engine grew by **${grown} bytes**; after it was disposed of, ${left} were left.`,
        `The process grew by **${(slope / 1e3).toFixed(0)} kB a generation** (standard error ${(error / 1e3).toFixed(0)}) after the first ${WARM_UP * 100}% (least squares), ${(growth * 100).toFixed(1)}% in all; up to ${SLACK * 100}%, or three standard errors, is the allocator's wavering. The JS heap went from ${mb(settled[0]!.heap)} to ${mb(settled.at(-1)!.heap)} MB.`,
        `Generations of 2 steps with ${kinds.join(", ")} neighbours in turn, one kind more than the engine keeps executors for, so that each generation frees one's buffers and makes another's. On a software adapter the process's memory holds the device's.`,
      ],
      figures: { engineGrowth: grown, left, slope, error, growth },
    },
    values.out,
  );
  if (grown > 0 || (growth > SLACK && slope > 3 * error)) {
    console.error("memory grows");
    process.exitCode = 1;
  }
}

function row({ generation, engine, process, heap }: Sample): Cell[] {
  return [generation, engine / 1e6, process / 1e6, heap / 1e6];
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}

/** Slope of the least-squares line through (x, y) points, and its standard error. */
function leastSquares(points: readonly (readonly [number, number])[]): { slope: number; error: number } {
  const sum = (of: (x: number, y: number) => number) => points.reduce((total, [x, y]) => total + of(x, y), 0);
  const meanX = sum((x) => x) / points.length;
  const meanY = sum((_, y) => y) / points.length;
  const spread = sum((x) => (x - meanX) ** 2);
  const slope = sum((x, y) => (x - meanX) * (y - meanY)) / spread;
  const residual = sum((x, y) => (y - meanY - slope * (x - meanX)) ** 2);
  return { slope, error: Math.sqrt(residual / (points.length - 2) / spread) };
}
