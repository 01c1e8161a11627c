// Family `projection`: what the whole cascade at the paper's size takes on this adapter, from steps measured here; its work and memory are counted, not guessed.
import { defaultSettings, upscalingSettings } from "../../src/diffusion/settings.ts";
import { costOf } from "../../src/graph/cost.ts";
import type { Run } from "../../src/graph/graph.ts";
import type { ProfiledDispatch } from "../../src/graph/profile.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import type { Lab } from "./lab.ts";
import { type LoopSizes, openLoop, type PlannedLoop, planLoop } from "./loop.ts";
import { fullCascade } from "./models.ts";
import { type Cell, type Section, show } from "./report.ts";
import { memoryCells, timeSteps } from "./step.ts";

/** Seconds a picture of 1024 pixels that the paper reports, of 3.6 thousand million parameters (Chen et al., 2022). */
const reported = 30;

/** Of a step on average: half are neighbour-enhanced, of which the down-stack runs once for both evaluations. */
type StepSeconds = Readonly<Record<"step" | "short step", number>>;

/** One stage of the cascade. */
interface Stage {
  readonly config: ModelConfig;
  readonly sizes: LoopSizes;
  readonly steps: number;
}

/** Work a second by op, operations or, of ops that only move data, bytes: as one measured step shows it. */
export type Rates = ReadonlyMap<string, { readonly flops: number; readonly bytes: number }>;

/** Measures what this device can be asked to run, the base stage of full size or the shipped step, and extrapolates what it cannot. */
export async function projection(lab: Lab): Promise<Section> {
  const { gpu } = lab;
  const full = !gpu.traits.software || lab.large;
  const storage = full && gpu.traits.shaderF16 ? "f16" : "f32";
  const stages = fullCascade.map((config): Stage => {
    const upscales = config.cond_channels > 0;
    return {
      config,
      sizes: { storage, evaluations: upscales ? 1 : 2 },
      steps: (upscales ? upscalingSettings : defaultSettings).steps,
    };
  });
  let rates: Rates | undefined;
  const rows: Cell[][] = [];
  const notes: string[] = [];
  let total = 0;
  let parameters = 0;
  for (const { config, sizes, steps } of stages) {
    lab.say(`projection: ${config.size} pixels`);
    const planned = await planLoop(gpu.traits, config, sizes);
    const measured = full
      ? await measure(lab, config, sizes).catch((error: Error) => {
          notes.push(`The stage of ${config.size} pixels does not run here: ${error.message}`);
          return undefined;
        })
      : undefined;
    rates ??= measured?.rates ?? (await measure(lab, lab.config, {})).rates;
    const seconds = measured?.seconds ?? extrapolated(planned, rates);
    const stageSeconds = (steps * (seconds.step + seconds["short step"])) / 2;
    total += stageSeconds;
    parameters += planned.parameters;
    rows.push([
      `${config.size}x${config.size}, ${sizes.evaluations === 2 ? "guided" : "unguided"}`,
      planned.parameters / 1e6,
      planned.plan.schedule.step.length,
      flopsOf(planned, "step") / 1e12,
      memoryCells(planned.plan)[0] / 1e3,
      seconds.step,
      measured ? "measured" : "extrapolated",
      steps,
      stageSeconds,
    ]);
  }
  rows.push(["all", parameters / 1e6, "", "", "", "", "", "", total]);
  const share = show(total / reported);
  return {
    title: "Projection: the whole cascade at the paper's size",
    tables: [
      {
        columns: ["stage", "M parameters", "dispatches", "TFLOP a step", "planned GB", "s a step", "how", "steps", "s"],
        rows,
      },
    ],
    notes: [
      `**${show(total)} s a picture**, ${share} times the ${reported} s that the paper reports for 3.6 thousand million parameters, on hardware of its own; ${storage} storage.`,
      "Parameters, work and memory are counted in the plans of these stages; nothing of them is scaled up from smaller ones.",
      `Extrapolated: the work of each op at the rate that it has in a step measured here${full ? "" : ", the shipped model's"}. Weights are random; those of a stage need ${storage === "f16" ? "two" : "four"} bytes a parameter on the device.`,
      "Steps: this project's defaults, half of the base's neighbour-enhanced (the short step); the paper's samplers took more. Text encoder, neighbours and copies, once a picture, are left out.",
      ...notes,
    ],
    measurements: [
      {
        name: "the whole cascade",
        unit: "s",
        better: "less",
        median: total,
        low: total,
        high: total,
        least: total,
        count: 1,
      },
    ],
  };
}

async function measure(
  lab: Lab,
  config: ModelConfig,
  sizes: LoopSizes,
): Promise<{ seconds: StepSeconds; rates: Rates }> {
  const loop = await openLoop(lab.gpu, config, sizes);
  try {
    const guided = sizes.evaluations !== 1;
    const times = await timeSteps(lab, loop, guided ? ["step", "short step"] : ["step"]);
    const step = times.get("step")!.median / 1e3;
    const profile = await loop.profile();
    return {
      seconds: { step, "short step": guided ? times.get("short step")!.median / 1e3 : step },
      rates: ratesOf(profile, step),
    };
  } finally {
    loop.dispose();
  }
}

/** Rates by op; the times of single dispatches are scaled so that together they are the step's. */
export function ratesOf(profile: readonly ProfiledDispatch[], stepSeconds: number): Rates {
  const scale = stepSeconds / profile.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  const sums = new Map<string, { seconds: number; flops: number; bytes: number }>();
  for (const { op, milliseconds, flops, bytes } of profile) {
    const sum = sums.get(op) ?? { seconds: 0, flops: 0, bytes: 0 };
    sums.set(op, { seconds: sum.seconds + milliseconds * scale, flops: sum.flops + flops, bytes: sum.bytes + bytes });
  }
  return new Map(
    [...sums].map(([op, { seconds, flops, bytes }]) => [op, { flops: flops / seconds, bytes: bytes / seconds }]),
  );
}

/** Ops whose time is their arithmetic; that of the others is what they move. */
const products = new Set(["conv2d", "linear", "attention"]);

/** Seconds of a plan's steps, at these rates; ops that were not measured move data as those that were do. */
export function extrapolated(planned: Pick<PlannedLoop, "plan">, rates: Rates): StepSeconds {
  const movers = [...rates].filter(([op]) => !products.has(op)).map(([, { bytes }]) => bytes);
  const usual = movers.toSorted((a, b) => a - b)[movers.length >> 1] ?? Number.POSITIVE_INFINITY;
  const seconds = (run: Run) =>
    planned.plan.schedule[run].reduce((sum, dispatch) => {
      const { flops, bytes } = costOf(dispatch);
      const { name } = dispatch.node.op;
      const rate = rates.get(name);
      return sum + (products.has(name) && rate ? flops / rate.flops : bytes / (rate?.bytes ?? usual));
    }, 0);
  const step = seconds("step");
  return { step, "short step": planned.plan.schedule["short step"].length ? seconds("short step") : step };
}

function flopsOf({ plan }: PlannedLoop, run: Run): number {
  return plan.schedule[run].reduce((sum, dispatch) => sum + costOf(dispatch).flops, 0);
}
