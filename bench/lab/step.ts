// Family `step`: one denoising step as the engine runs it, what of it takes how long, and what memory it holds.
import type { Step } from "../../src/diffusion/slicer.ts";
import type { Plan } from "../../src/graph/compile.ts";
import type { ProfiledDispatch } from "../../src/graph/profile.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import type { Lab } from "./lab.ts";
import { type Loop, type LoopSizes, openLoop } from "./loop.ts";
import { imagenSize } from "./models.ts";
import { type Cell, type Measurement, middleHalf, type Section, type Table } from "./report.ts";
import { type Spread, spreadOf } from "./statistics.ts";

/** A model whose step is timed. */
interface Model extends LoopSizes {
  readonly name: string;
  readonly config: ModelConfig;
}

/** Steps the models that this device can be asked to run. */
export async function step(lab: Lab): Promise<Section> {
  const { gpu, config } = lab;
  const full = !gpu.traits.software || lab.large;
  const models: Model[] = [
    { name: "shipped, f32", config },
    ...(full ? ([{ name: "shipped, f16", config, storage: "f16" }] as const) : []),
    ...(full ? ([{ name: "Imagen-size, f16", config: imagenSize, storage: "f16" }] as const) : []),
  ].filter(({ name }) => name.includes(lab.filter));
  const peak = (await lab.ceilings()).f32.rate.median;
  const rows: Cell[][] = [];
  const shares: Table[] = [];
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  for (const model of models) {
    lab.say(`step: ${model.name}`);
    const before = gpu.allocatedBytes;
    const loop = await openLoop(gpu, model.config, model).catch((error: Error) => error);
    if (loop instanceof Error) {
      notes.push(`${model.name} does not run here: ${loop.message}`);
      continue;
    }
    const times = await timeSteps(lab, loop);
    const held = gpu.allocatedBytes - before;
    for (const [step, ms] of times) {
      const name = step === "step" ? model.name : `${model.name}, neighbour-enhanced`;
      const flops = loop.flops(step);
      const rate = flops / (ms.median / 1e3);
      rows.push([
        name,
        loop.parameters / 1e6,
        loop.plan.schedule[step].length,
        flops / 1e9,
        ms.median,
        middleHalf(ms),
        rate / 1e9,
        (rate / peak) * 100,
        ...memoryCells(loop.plan),
        held / 1e6,
      ]);
      measurements.push({ name, unit: "ms", better: "less", ...ms });
    }
    shares.push(sharesTable(model.name, await loop.profile()));
    loop.dispose();
  }
  return {
    title: "Step: one denoising step, two evaluations, two neighbours",
    tables: [
      {
        columns: [
          "model",
          "M parameters",
          "dispatches",
          "GFLOP",
          "ms",
          "middle half",
          "GFLOP/s",
          "% of f32 ceiling",
          "planned MB",
          "x bound",
          "device MB",
        ],
        rows,
      },
      ...shares,
    ],
    notes: [
      "Random weights: what a step costs does not depend on what a model has learned. Each step is submitted by itself and waited for; the state x was finite at the end.",
      "A step is text-enhanced, unless it says otherwise: then both evaluations are told the same text, and the down-stack runs once for both.",
      "Planned: arenas for intermediate tensors, beside the least that any plan needs (the largest set alive at once). Device: all buffers, weights included.",
      "By op: each dispatch in a pass of its own, so the parts add up to more than the whole.",
      ...(full
        ? []
        : ["f16 storage and the Imagen-size model are left out on a software adapter; `--large` runs them."]),
      ...(rows.length ? [] : [`No model was timed: none has "${lab.filter}" in its name.`]),
      ...notes,
    ],
    measurements,
  };
}

/** Milliseconds of single steps of these kinds, in turns, each submitted and waited for. */
export async function timeSteps(
  { gpu, repeats, budget }: Pick<Lab, "gpu" | "repeats" | "budget">,
  loop: Loop,
  steps: readonly Step[] = ["step", "short step"],
): Promise<Map<Step, Spread>> {
  const one = async (step: Step) => {
    const encoder = gpu.device.createCommandEncoder();
    const start = performance.now();
    loop.encode(encoder, step);
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.idle();
    return performance.now() - start;
  };
  loop.request();
  await one("step");
  let taken = 0;
  for (const step of steps) taken += await one(step);
  const count = Math.max(3, Math.min(repeats, Math.floor((4 * budget * steps.length) / taken)));
  const times = new Map<Step, number[]>(steps.map((step) => [step, []]));
  for (let i = 0; i < count; i++) for (const [step, list] of times) list.push(await one(step));
  await loop.check();
  return new Map([...times].map(([step, list]) => [step, spreadOf(list)]));
}

/** Megabytes of the plan's arenas, and how many times the lower bound that is. */
export function memoryCells({ memory }: Plan): [number, number] {
  const planned = memory.arenas.reduce((sum, bytes) => sum + bytes, 0);
  return [planned / 1e6, planned / memory.lowerBound];
}

function sharesTable(name: string, profile: readonly ProfiledDispatch[]): Table {
  const byKernel = new Map<string, { count: number; ms: number; flops: number; bytes: number }>();
  for (const { kernel, milliseconds, flops, bytes } of profile) {
    const sum = byKernel.get(kernel) ?? { count: 0, ms: 0, flops: 0, bytes: 0 };
    byKernel.set(kernel, {
      count: sum.count + 1,
      ms: sum.ms + milliseconds,
      flops: sum.flops + flops,
      bytes: sum.bytes + bytes,
    });
  }
  const total = profile.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return {
    caption: `${name}, by kernel`,
    columns: ["kernel", "dispatches", "ms", "%", "GFLOP/s", "GB/s"],
    rows: [...byKernel]
      .sort(([, a], [, b]) => b.ms - a.ms)
      .map(([kernel, { count, ms, flops, bytes }]) => [
        kernel,
        count,
        ms,
        (ms / total) * 100,
        flops ? flops / ms / 1e6 : "",
        bytes / ms / 1e6,
      ]),
  };
}
