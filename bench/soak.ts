// Family `soak`: memory over many generations on one engine. Fails when the engine's own bytes grow, or when the process's memory clearly does.
import { createEngine, type Engine } from "../src/diffusion/engine.ts";
import type { NeighborPicture } from "../src/diffusion/neighbors.ts";
import type { NodeLab } from "./command.ts";
import { neighborsOf, prompt } from "./lab/lab.ts";
import type { Cell, Measurement, Section } from "./lab/report.ts";
import { leastSquares, spreadOf } from "./lab/statistics.ts";

const GENERATIONS = 200;
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

/** Draws and watches. Throws where the host has no weights. */
export async function soak(lab: NodeLab): Promise<Section> {
  if (!lab.model) throw new Error("the weights of the shipped model are not here");
  const before = lab.gpu.allocatedBytes;
  const engine = await createEngine(lab.gpu, lab.model);
  const samples = await draw(lab, engine, await neighborsOf(lab, Math.max(...kinds)));
  engine.dispose();
  return section(samples, lab.gpu.allocatedBytes - before);
}

/** Draws pictures of every kind in turn; samples memory each time the kinds have come round. */
async function draw(lab: NodeLab, engine: Engine, neighbors: readonly NeighborPicture[]): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let i = 1; i <= GENERATIONS; i++) {
    const k = kinds[i % kinds.length]!;
    await engine.generate({ prompt, neighbors: neighbors.slice(0, k), settings: { steps: 2, seed: i } });
    if (i % kinds.length) continue;
    const heap = lab.heap!();
    samples.push({ generation: i, engine: engine.gpu.allocatedBytes, process: process.memoryUsage.rss(), heap });
    if (i % (4 * kinds.length) === 0) lab.say(`soak: ${i} of ${GENERATIONS}`);
  }
  return samples;
}

function section(samples: readonly Sample[], left: number): Section {
  const settled = samples.filter(({ generation }) => generation > WARM_UP * GENERATIONS);
  const grown = Math.max(...samples.map((sample) => sample.engine)) - samples[0]!.engine;
  const { slope, error } = leastSquares(settled.map(({ generation, process }) => [generation, process]));
  const growth = (slope * (1 - WARM_UP) * GENERATIONS) / settled[0]!.process;
  const shown = Math.ceil(samples.length / 10);
  const grows = grown > 0 || left > 0 || (growth > SLACK && slope > 3 * error);
  const measurements: Measurement[] = [
    { name: "process", unit: "MB", better: "less", ...spreadOf(settled.map(({ process }) => process / 1e6)) },
    { name: "heap", unit: "MB", better: "less", ...spreadOf(settled.map(({ heap }) => heap / 1e6)) },
  ];
  return {
    title: `Soak: memory over ${GENERATIONS} generations on one engine`,
    tables: [
      {
        columns: ["generations", "engine MB", "process MB", "JS heap MB"],
        rows: samples.filter((_, i) => i === 0 || (i + 1) % shown === 0).map(row),
      },
    ],
    notes: [
      `Buffers of the engine grew by **${grown} bytes**; after it was disposed of, ${left} were left.`,
      `The process grew by **${(slope / 1e3).toFixed(0)} kB a generation** (standard error ${(error / 1e3).toFixed(0)}) after the first ${WARM_UP * 100}% (least squares), ${(growth * 100).toFixed(1)}% in all; up to ${SLACK * 100}%, or three standard errors, is the allocator's wavering. The JS heap went from ${mb(settled[0]!.heap)} to ${mb(settled.at(-1)!.heap)} MB.`,
      `Generations of 2 steps with ${kinds.join(", ")} neighbours in turn, one kind more than the engine keeps executors for, so that each generation frees one's buffers and makes another's. On a software adapter the process's memory holds the device's.`,
    ],
    measurements,
    ...(grows && { failure: "memory grows" }),
  };
}

function row({ generation, engine, process, heap }: Sample): Cell[] {
  return [generation, engine / 1e6, process / 1e6, heap / 1e6];
}

function mb(bytes: number): string {
  return (bytes / 1e6).toFixed(1);
}
