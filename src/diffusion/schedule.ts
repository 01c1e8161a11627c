// Noise schedules: how much signal (alpha) and noise (sigma) a picture holds at time t, x_t = alpha x_0 + sigma eps.
import { checkChoice, checkInteger, checkNumber } from "./range.ts";

/** Signal and noise scales at one time; variance preserving: alpha^2 + sigma^2 = 1. */
export interface AlphaSigma {
  alpha: number;
  sigma: number;
}

/** alpha = cos(pi t / 2), sigma = sin(pi t / 2) for t in [0, 1], the schedule of the shipped model. */
export interface CosineSchedule {
  kind: "cosine";
}

/** A table over t = 0 .. T - 1 of alpha^2, the running product of (1 - beta) (DDPM, Ho et al. 2020). */
export interface DiscreteSchedule {
  kind: "discrete";
  alphaSquared: Float64Array;
}

/** A noise schedule as plain data. */
export type NoiseSchedule = CosineSchedule | DiscreteSchedule;

const betaCurves = ["linear", "scaled_linear", "squaredcos_cap_v2"] as const;

/** How beta grows over the training steps, by the names that diffusers' scheduler configs use. */
export type BetaCurve = (typeof betaCurves)[number];

/** What defines a discrete schedule; the names and defaults are those of diffusers' scheduler configs. */
export interface DiscreteOptions {
  betaSchedule: BetaCurve;
  /** First beta of the linear curves, in (0, 1). Default 0.0001. */
  betaStart?: number;
  /** Last beta of the linear curves, in [betaStart, 1). Default 0.02. */
  betaEnd?: number;
  /** Number of training steps T. Default 1000. */
  trainTimesteps?: number;
  /** Shift and scale alpha so that the last step holds no signal (Lin et al. 2023, algorithm 1). Default false. */
  rescaleBetasZeroSnr?: boolean;
}

/** The continuous cosine schedule. */
export const cosineSchedule: CosineSchedule = { kind: "cosine" };

/** Tabulates a discrete schedule. Throws `argument` for betas or step counts out of range. */
export function discreteSchedule(options: DiscreteOptions): DiscreteSchedule {
  const { betaSchedule, betaStart = 0.0001, betaEnd = 0.02, trainTimesteps = 1000 } = options;
  checkChoice("betaSchedule", betaSchedule, betaCurves);
  checkInteger("trainTimesteps", trainTimesteps, 2, Number.MAX_SAFE_INTEGER);
  checkNumber("betaStart", betaStart, Number.MIN_VALUE, 1 - Number.EPSILON);
  checkNumber("betaEnd", betaEnd, betaStart, 1 - Number.EPSILON);
  const alphaSquared = new Float64Array(trainTimesteps);
  let product = 1;
  for (let t = 0; t < trainTimesteps; t++) {
    product *= 1 - beta(betaSchedule, t, trainTimesteps, betaStart, betaEnd);
    alphaSquared[t] = product;
  }
  return { kind: "discrete", alphaSquared: options.rescaleBetasZeroSnr ? zeroSnr(alphaSquared) : alphaSquared };
}

function beta(curve: BetaCurve, t: number, count: number, start: number, end: number): number {
  const share = t / (count - 1);
  switch (curve) {
    case "linear":
      return start + (end - start) * share;
    case "scaled_linear":
      return (Math.sqrt(start) + (Math.sqrt(end) - Math.sqrt(start)) * share) ** 2;
    case "squaredcos_cap_v2":
      // Nichol & Dhariwal 2021, equation 17; the cap keeps the last steps from losing all signal at once.
      return Math.min(1 - squaredCosine((t + 1) / count) / squaredCosine(t / count), 0.999);
  }
}

function squaredCosine(share: number): number {
  return Math.cos((((share + 0.008) / 1.008) * Math.PI) / 2) ** 2;
}

function zeroSnr(alphaSquared: Float64Array): Float64Array {
  const first = Math.sqrt(alphaSquared[0]);
  const last = Math.sqrt(alphaSquared[alphaSquared.length - 1]);
  return alphaSquared.map((square) => (((Math.sqrt(square) - last) * first) / (first - last)) ** 2);
}

/**
 * Signal and noise at time t: in [0, 1] for the cosine schedule, in [0, T - 1] for a discrete one, where alpha^2 is
 * interpolated linearly between whole steps. Throws `argument` outside.
 */
export function alphaSigma(schedule: NoiseSchedule, t: number): AlphaSigma {
  if (schedule.kind === "cosine") {
    checkNumber("t", t, 0, 1);
    // The sine of 1 - t, not the cosine of t, so that alpha is exactly 0 at t = 1.
    return { alpha: Math.sin((Math.PI / 2) * (1 - t)), sigma: Math.sin((Math.PI / 2) * t) };
  }
  const table = schedule.alphaSquared;
  checkNumber("t", t, 0, table.length - 1);
  const below = Math.floor(t);
  const above = Math.min(below + 1, table.length - 1);
  const square = table[below] + (table[above] - table[below]) * (t - below);
  return { alpha: Math.sqrt(square), sigma: Math.sqrt(1 - square) };
}

/** lambda = ln(alpha / sigma), half the log signal-to-noise ratio: -Infinity for pure noise, Infinity for pure signal. */
export function lambda({ alpha, sigma }: AlphaSigma): number {
  return Math.log(alpha) - Math.log(sigma);
}
