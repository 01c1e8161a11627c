// From a schedule, a prediction type and a sampler's options to the coefficients of every step.
import { ddimUpdate } from "./ddim.ts";
import { type DdpmVariance, ddpmUpdate, ddpmVariances } from "./ddpm.ts";
import { dpmSolverUpdate } from "./dpm-solver.ts";
import { pndmSteps } from "./pndm.ts";
import { checkChoice, checkInteger, checkNumber } from "./range.ts";
import type { NoiseSchedule } from "./schedule.ts";
import { type Prediction, type StepCoefficients, type StepUpdate, x0Of } from "./step.ts";
import { type SamplingPoint, samplingPoints, type TimestepSpacing } from "./timesteps.ts";

const samplers = ["ddpm", "ddim", "dpm-solver++", "pndm"] as const;

/** DDPM ancestral, DDIM, DPM-Solver++(2M), or PNDM by linear multisteps. */
export type Sampler = (typeof samplers)[number];

/** A sampler and what it leaves open; an option of another sampler or another kind of schedule has no effect, nor has thresholding on the way that PNDM takes. */
export interface SamplerOptions {
  sampler: Sampler;
  /** From noise to picture, at least 1; on a discrete schedule at most its training steps. The model is evaluated once a step; by PNDM, which takes the first step twice, once more. */
  steps: number;
  /** DDIM: share of ancestral noise in [0, 1]. Default 0. */
  etaDdim?: number;
  /** DDIM: derive the noise again from the thresholded x0. Default true; diffusers' default is false. */
  useClippedModelOutput?: boolean;
  /** DDPM: variance of the ancestral noise. Default "fixed_small". */
  variance?: DdpmVariance;
  /** Discrete: default "linspace" for DPM-Solver++, "leading" for the others. */
  spacing?: TimestepSpacing;
  /** Discrete, leading: added to every timestep. Default 0. */
  stepsOffset?: number;
  /** Discrete, DDIM and PNDM: land on alpha = 1 rather than on the schedule's first entry. Default true. */
  setAlphaToOne?: boolean;
  /** Leave out times with less signal than this lambda = ln(alpha / sigma), in [-50, 0]. Default -Infinity: keep all. */
  lambdaMinClipped?: number;
}

/** Throws `argument` for sampler options out of range, whatever the schedule. */
export function checkSampler(options: SamplerOptions): void {
  checkChoice("sampler", options.sampler, samplers);
  checkInteger("steps", options.steps, 1, Number.MAX_SAFE_INTEGER);
  checkNumber("etaDdim", options.etaDdim ?? 0, 0, 1);
  checkChoice("variance", options.variance ?? "fixed_small", ddpmVariances);
  checkChoice("spacing", options.spacing ?? "leading", ["leading", "trailing", "linspace"]);
  checkInteger("stepsOffset", options.stepsOffset ?? 0, 0, Number.MAX_SAFE_INTEGER);
  const { lambdaMinClipped = Number.NEGATIVE_INFINITY } = options;
  if (lambdaMinClipped !== Number.NEGATIVE_INFINITY) checkNumber("lambdaMinClipped", lambdaMinClipped, -50, 0);
}

/**
 * The coefficients of every step, first to last, in f64. Throws `argument` for options out of range, for more steps
 * than a discrete schedule has timesteps, and for epsilon-prediction from pure noise.
 */
export function stepCoefficients(
  schedule: NoiseSchedule,
  prediction: Prediction,
  options: SamplerOptions,
): StepCoefficients[] {
  checkSampler(options);
  checkChoice("prediction", prediction, ["epsilon", "x0", "v"]);
  const points = pointsOf(schedule, options);
  const { sampler } = options;
  if (sampler === "pndm") return pndmSteps(points, prediction);
  return points.slice(0, -1).map((from, i) => {
    const { ofX: px, ofM: pm } = x0Of(prediction, from);
    return { timestep: from.timestep, px, pm, ...stepUpdate(points, i, prediction, { ...options, sampler }) };
  });
}

function pointsOf(schedule: NoiseSchedule, options: SamplerOptions): SamplingPoint[] {
  const { sampler } = options;
  return samplingPoints(schedule, options.steps, {
    spacing: options.spacing ?? (sampler === "dpm-solver++" ? "linspace" : "leading"),
    stepsOffset: options.stepsOffset ?? 0,
    setAlphaToOne: !["ddim", "pndm"].includes(sampler) || (options.setAlphaToOne ?? true),
    lambdaMinClipped: options.lambdaMinClipped ?? Number.NEGATIVE_INFINITY,
    asksTimestepZero: sampler !== "dpm-solver++",
  });
}

function stepUpdate(
  points: SamplingPoint[],
  i: number,
  prediction: Prediction,
  {
    sampler,
    etaDdim = 0,
    useClippedModelOutput = true,
    variance = "fixed_small",
  }: SamplerOptions & {
    sampler: Exclude<Sampler, "pndm">;
  },
): StepUpdate {
  const from = points[i];
  const to = points[i + 1];
  switch (sampler) {
    case "ddpm":
      return ddpmUpdate(from, to, variance);
    case "ddim":
      return ddimUpdate(from, to, prediction, { eta: etaDdim, useClippedModelOutput });
    case "dpm-solver++": {
      const isLast = i === points.length - 2;
      return dpmSolverUpdate(i > 0 && !isLast ? points[i - 1] : undefined, from, to);
    }
  }
}
