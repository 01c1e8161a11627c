// Family `scaling`: how a step's time and memory grow with batch, side, channels and neighbours, and a picture's with steps.
import { assemble } from "../../src/gpu/kernel.ts";
import type { Plan } from "../../src/graph/compile.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import type { Lab } from "./lab.ts";
import { type LoopSizes, openLoop } from "./loop.ts";
import { withSide, withWidth } from "./models.ts";
import { chart } from "./plots.ts";
import { type Cell, type Measurement, middleHalf, type Section, type Table } from "./report.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import { memoryCells, timeSteps } from "./step.ts";

/** One way to grow. */
interface Direction {
  readonly name: string;
  readonly values: readonly number[];
  of(config: ModelConfig, value: number): LoopSizes & { readonly config: ModelConfig };
}

function directions(modest: boolean): Direction[] {
  return [
    {
      name: "pictures",
      values: modest ? [1, 2, 4] : [1, 2, 4, 8, 16],
      of: (config, pictures) => ({ config, pictures }),
    },
    {
      name: "side",
      values: modest ? [32, 64, 96] : [32, 64, 128, 256],
      of: (config, side) => ({ config: withSide(config, side) }),
    },
    {
      name: "width",
      values: modest ? [1, 2] : [1, 2, 4, 8],
      of: (config, factor) => ({ config: withWidth(config, factor) }),
    },
    { name: "neighbours", values: [0, 1, 2, 8], of: (config, neighbors) => ({ config, neighbors }) },
  ];
}

/** One point of a direction. */
interface Point {
  readonly value: number;
  readonly ms: Spread;
  readonly gflop: number;
  readonly plan: Plan;
}

/** Grows the shipped architecture in every direction, with random weights. */
export async function scaling(lab: Lab): Promise<Section> {
  const tables: Table[] = [];
  const measurements: Measurement[] = [];
  const notes: string[] = [];
  const curves: { name: string; points: Point[] }[] = [];
  for (const direction of directions(lab.gpu.traits.software && !lab.large)) {
    if (!direction.name.includes(lab.filter)) continue;
    const points: Point[] = [];
    for (const value of direction.values) {
      lab.say(`scaling: ${direction.name} ${value}`);
      const { config, ...sizes } = direction.of(lab.config, value);
      const loop = await openLoop(lab.gpu, config, sizes).catch((error: Error) => error);
      if (loop instanceof Error) {
        notes.push(`${direction.name} ${value} does not run here: ${loop.message}`);
        break;
      }
      const ms = (await timeSteps(lab, loop, ["step"])).get("step")!;
      points.push({ value, ms, gflop: loop.flops() / 1e9, plan: loop.plan });
      measurements.push({ name: `${direction.name} ${value}`, unit: "ms", better: "less", ...ms });
      loop.dispose();
    }
    if (points.length === 0) continue;
    tables.push(tableOf(direction.name, points));
    curves.push({ name: direction.name, points });
    if (direction.name === "neighbours") notes.push(...neighborNotes(points));
  }
  const steps = await stepsCurve(lab);
  if (steps) {
    tables.push(steps.table);
    measurements.push(...steps.measurements);
  }
  return {
    title: "Scaling: the shipped architecture grown, random weights",
    tables,
    notes: [
      "Milliseconds of one step, two evaluations a picture; each step submitted by itself and waited for. Width: times the shipped channels. GFLOP: of one neighbour's tokens, however many a sample sees.",
      ...notes,
    ],
    measurements,
    plots: curves.some(({ points }) => points.length > 1) ? [{ name: "scaling", svg: plot(curves) }] : [],
  };
}

function tableOf(name: string, points: readonly Point[]): Table {
  const base = points[0]!.ms.median;
  return {
    caption: `By ${name}`,
    columns: [
      name,
      "step ms",
      "middle half",
      `x ${name} ${points[0]!.value}`,
      "GFLOP",
      "GFLOP/s",
      "dispatches",
      "planned MB",
      "x bound",
    ],
    rows: points.map(({ value, ms, gflop, plan }): Cell[] => [
      value,
      ms.median,
      middleHalf(ms),
      ms.median / base,
      gflop,
      gflop / (ms.median / 1e3),
      plan.schedule.step.length,
      ...memoryCells(plan),
    ]),
  };
}

/** Time against each direction's value, both as multiples of its first (with neighbours: of k = 1, as none is no multiple). */
function plot(curves: readonly { name: string; points: readonly Point[] }[]): string {
  const lines = curves.flatMap(({ name, points }) => {
    const shown = points.filter(({ value }) => value > 0);
    const [first] = shown;
    if (!first || shown.length < 2) return [];
    return [
      {
        name: `${name}, from ${first.value}`,
        points: shown.map(({ value, ms }) => [value / first.value, ms.median / first.ms.median] as const),
      },
    ];
  });
  const most = Math.max(...lines.flatMap(({ points }) => points.map(([x]) => x)));
  const proportional = {
    name: "in proportion",
    dashed: true,
    reference: "left" as const,
    points: [[1, 1] as const, [most, most] as const],
  };
  return chart({
    title: "How a step's time grows",
    x: { label: "times the first value", scale: "log" },
    y: { label: "times the first time", scale: "log" },
    lines: [...lines, proportional],
  });
}

/** Whether neighbours change the step's dispatches: they should not. */
function neighborNotes(points: readonly Point[]): string[] {
  const base = points[0]!;
  const differences = points.slice(1).flatMap(({ plan, value }) => differencesOf(base.plan, plan, value));
  return [
    differences.length
      ? `The step's dispatch lists **differ** in ${differences.length} places between numbers of neighbours: ${differences.slice(0, 3).join("; ")}.`
      : `The step's ${base.plan.schedule.step.length} dispatches are **the same** for every number of neighbours: kernels, labels and workgroups.`,
  ];
}

function differencesOf(base: Plan, other: Plan, k: number): string[] {
  const describe = (plan: Plan) =>
    plan.schedule.step.map(({ node, choice }) => ({
      name: `${node.label} ${choice.variant} ${choice.launch.workgroups.join("x")}`,
      kernel: assemble(choice.launch.kernel),
    }));
  const [a, b] = [describe(base), describe(other)];
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
    if (a[i]?.name !== b[i]?.name) return `dispatch ${i}: ${a[i]?.name} at first, ${b[i]?.name} at k = ${k}`;
    return a[i]!.kernel === b[i]!.kernel ? "" : `dispatch ${i}: ${a[i]!.name} is specialised otherwise at k = ${k}`;
  }).filter(Boolean);
}

/** Seconds of several steps in flight together: what waiting for each costs. */
async function stepsCurve(lab: Lab): Promise<{ table: Table; measurements: Measurement[] } | undefined> {
  if (!"steps".includes(lab.filter)) return undefined;
  const { gpu } = lab;
  const loop = await openLoop(gpu, lab.config);
  loop.request();
  const run = async (steps: number) => {
    const start = performance.now();
    for (let i = 0; i < steps; i++) {
      const encoder = gpu.device.createCommandEncoder();
      loop.encode(encoder);
      gpu.device.queue.submit([encoder.finish()]);
    }
    await gpu.idle();
    return performance.now() - start;
  };
  await run(1);
  const measurements: Measurement[] = [];
  for (const steps of gpu.traits.software && !lab.large ? [1, 2, 4] : [1, 4, 16, 64]) {
    lab.say(`scaling: steps ${steps}`);
    const times: number[] = [];
    for (let i = 0; i < Math.min(lab.repeats, 5); i++) times.push(await run(steps));
    measurements.push({ name: `steps ${steps}`, unit: "ms", better: "less", ...spreadOf(times) });
  }
  loop.dispose();
  const table: Table = {
    caption: "By steps submitted without waiting",
    columns: ["steps", "ms", "middle half", "ms a step"],
    rows: measurements.map((m): Cell[] => {
      const steps = Number(m.name.split(" ")[1]);
      return [steps, m.median, middleHalf(m), m.median / steps];
    }),
  };
  return { table, measurements };
}
