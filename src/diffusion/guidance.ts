// Guidance: which conditioning each step evaluates the model with, and how the two evaluations are weighed.
import { ReimagenError } from "../errors.ts";
import { keyOf, philox4x32, stream, uniform } from "./philox.ts";
import { checkChoice, checkInteger, checkNumber } from "./range.ts";

const modes = ["interleaved", "entangled", "text-only", "neighbor-only", "none"] as const;
const choices = ["random", "periodic"] as const;

/**
 * interleaved: each step is text-enhanced or neighbor-enhanced (Chen et al. 2022, section 3.3); text-only and
 * neighbor-only: every step is the one or the other; entangled: text and neighbors against neither; none: no guidance.
 */
export type GuidanceMode = (typeof modes)[number];

/** Guidance as a request states it. */
export interface GuidanceSettings {
  mode: GuidanceMode;
  /** How an interleaved step is chosen: seeded with probability eta, or spread evenly. */
  choice: (typeof choices)[number];
  /** Share of text-enhanced steps of the interleaved mode, in [0, 1]. */
  eta: number;
  /** Weight of text-enhanced steps, and of the entangled mode: finite, at least 0; 1 means no guidance. */
  gammaP: number;
  /** Weight of neighbor-enhanced steps: finite, at least 0; 1 means no guidance. */
  gammaN: number;
}

/** What one evaluation of the model is shown. */
export interface Conditioning {
  text: boolean;
  neighbors: boolean;
}

/**
 * One step: m = base + weight (conditional - base), the paper's gamma e - (gamma - 1) e_base with gamma = weight. Where
 * base is undefined, m is the conditional evaluation alone and weight is 1.
 */
export interface GuidanceStep {
  conditional: Conditioning;
  base: Conditioning | undefined;
  weight: number;
}

/** Throws `argument` for an unknown mode or choice, eta outside [0, 1], or a gamma that is negative or not finite. */
export function checkGuidance({ mode, choice, eta, gammaP, gammaN }: GuidanceSettings): void {
  checkChoice("guidance mode", mode, modes);
  checkChoice("guidance choice", choice, choices);
  checkNumber("eta", eta, 0, 1);
  checkNumber("gammaP", gammaP, 0, Number.POSITIVE_INFINITY);
  checkNumber("gammaN", gammaN, 0, Number.POSITIVE_INFINITY);
}

/** The guidance of every step. Random choice depends on the seed alone. Throws `argument` for what is out of range. */
export function guidanceSteps(settings: GuidanceSettings, steps: number, seed: number): GuidanceStep[] {
  checkGuidance(settings);
  checkInteger("steps", steps, 1, Number.MAX_SAFE_INTEGER);
  const isText = textChoice(settings, seed);
  return Array.from({ length: steps }, (_, step) => {
    if (settings.mode === "none") return guided({ text: false, neighbors: false }, 1);
    if (settings.mode === "entangled") return guided({ text: false, neighbors: false }, settings.gammaP);
    return isText(step)
      ? guided({ text: false, neighbors: true }, settings.gammaP)
      : guided({ text: true, neighbors: false }, settings.gammaN);
  });
}

/**
 * The mode that a request with so many neighbours wants: without any, a neighbor-enhanced step would weigh two equal evaluations. Throws `argument` for
 * neighbor-only guidance without neighbours.
 */
export function guidanceMode(mode: GuidanceMode, neighbors: number): GuidanceMode {
  if (neighbors > 0) return mode;
  if (mode === "neighbor-only")
    throw new ReimagenError("argument", "neighbor-only guidance needs at least one neighbour, got none");
  return mode === "interleaved" ? "text-only" : mode;
}

function guided(base: Conditioning, weight: number): GuidanceStep {
  return { conditional: { text: true, neighbors: true }, base: weight === 1 ? undefined : base, weight };
}

function textChoice({ mode, choice, eta }: GuidanceSettings, seed: number): (step: number) => boolean {
  const key = keyOf(seed);
  if (mode !== "interleaved") return () => mode === "text-only";
  if (choice === "periodic") return (step) => textStepsBy(step + 1, eta) > textStepsBy(step, eta);
  return (step) => uniform(philox4x32([step, 0, 0, stream.guidance], key)[0]) < eta;
}

// Text-enhanced steps among the first `count`; the small allowance takes ten steps of 0.1 for one whole.
function textStepsBy(count: number, eta: number): number {
  return Math.floor(count * eta + 1e-6);
}
