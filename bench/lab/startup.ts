// Family `startup`: from nothing to the first picture, lap by lap; and what compiling the shipped model's pipelines takes.
import { createEngine } from "../../src/diffusion/engine.ts";
import { type Host, neighborsOf, prompt } from "./lab.ts";
import type { Cell, Measurement, Section, Table } from "./report.ts";
import { spreadOf } from "./statistics.ts";

/** Milliseconds since the clock started, in the order in which they were reached. */
export type Laps = Readonly<Record<string, number>>;

/** One start. */
export interface Start {
  readonly laps: Laps;
  /** Milliseconds of a process that had passed when the clock started: modules imported. */
  readonly imported?: number;
}

/** A recipe for few steps. */
const settings = { sampler: "dpm-solver++", steps: 8, seed: 1 } as const;

/** Opens a host and draws one picture. Throws where the host has no weights, or the picture is blank. */
export async function firstPicture<H extends Host>(open: () => Promise<H>): Promise<Start & { readonly host: H }> {
  const laps: Record<string, number> = {};
  const start = performance.now();
  const lap = (name: string) => {
    laps[name] = performance.now() - start;
  };
  const host = await open();
  const { gpu, model } = host;
  if (!model) throw new Error("the weights of the shipped model are not here");
  lap("device");
  // At once, as the command line does.
  const [engine, neighbors] = await Promise.all([
    createEngine(gpu, model).finally(() => lap("weights")),
    neighborsOf(host, 2).finally(() => lap("neighbours")),
  ]);
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
  engine.dispose();
  if (pictures[0]!.pixels.every((value) => value === pictures[0]!.pixels[0])) throw new Error("the picture is blank");
  return { host, laps };
}

/** Starts of one engine, as rows and figures. */
export interface Starts {
  readonly engine: string;
  readonly starts: readonly Start[];
}

/** The starts as a family's findings. `fresh`: how it was seen to that nothing was warm. */
export function startupSection(engines: readonly Starts[], fresh: string): Section {
  const seconds = (values: readonly number[]) => spreadOf(values.map((ms) => ms / 1e3));
  const rows: Cell[][] = [];
  const measurements: Measurement[] = [];
  for (const { engine, starts } of engines) {
    const add = (name: string, values: readonly number[]) => {
      const spread = seconds(values);
      rows.push([
        engine,
        name,
        spread.median,
        `${spread.least.toFixed(2)}-${Math.max(...values.map((v) => v / 1e3)).toFixed(2)}`,
      ]);
      measurements.push({ name: `${engine}: ${name}`, unit: "s", better: "less", ...spread });
    };
    const imported = starts.flatMap((start) => start.imported ?? []);
    if (imported.length) add("modules imported", imported);
    for (const name of Object.keys(starts[0]!.laps))
      add(
        name,
        starts.map(({ laps }) => laps[name]!),
      );
  }
  const table: Table = { columns: ["engine", "until", "s", "least-most"], rows };
  return {
    title: "Startup: from nothing to the first picture",
    tables: [table],
    notes: [
      fresh,
      "The clock starts when the modules are imported, a native WebGPU library not yet. Ours: 8 steps of DPM-Solver++ with guidance (batch 2) and two neighbours; device, weights, neighbours and compilation included. Pipelines may be compiled in full only when they first run.",
    ],
    measurements,
  };
}
