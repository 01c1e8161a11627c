// The arithmetic contract of one sampling step: what samplers compute in f64 and the GPU applies to every pixel.
import { ReimagenError } from "../errors.ts";
import type { AlphaSigma } from "./schedule.ts";

/** What the model predicts: the noise, the clean picture, or v = alpha eps - sigma x_0 (Salimans & Ho 2022). */
export type Prediction = "epsilon" | "x0" | "v";

/**
 * One step as linear combinations, for every sampler:
 * x0 = px x + pm m, with m the model's output after guidance; x0 = threshold(x0);
 * x' = cx x + cm m + c0 x0 + c1 x0Previous + cn exp(cv (1 + variance) / 2) noise, with x0Previous the thresholded x0 of the step
 * before, noise standard normal, and variance what the model says about it, nominally in [-1, 1]. All finite; c1 is 0 in the first
 * step, cn is 0 where the step draws no noise, and cv is absent where the model says nothing about the variance. With `weights`, the m of x' (not
 * that of x0) is the sum of the model's outputs of this step and the four before it by them, latest first.
 */
export interface StepCoefficients {
  /** The time that the model is told, in the schedule's own unit. */
  timestep: number;
  px: number;
  pm: number;
  cx: number;
  cm: number;
  c0: number;
  c1: number;
  cn: number;
  cv?: number;
  weights?: readonly number[];
}

/** The part of a step that the sampler decides: how x' is made. */
export type StepUpdate = Pick<StepCoefficients, "cx" | "cm" | "c0" | "c1" | "cn" | "cv">;

/** A linear combination ofX x + ofM m of the noisy picture and the model's output. */
export interface Combination {
  ofX: number;
  ofM: number;
}

/**
 * The clean picture in terms of x and m. Throws `argument` for epsilon-prediction where alpha is 0: pure noise holds
 * no trace of x0.
 */
export function x0Of(prediction: Prediction, { alpha, sigma }: AlphaSigma): Combination {
  switch (prediction) {
    case "epsilon":
      if (alpha === 0) {
        throw new ReimagenError(
          "argument",
          "epsilon-prediction cannot start where alpha is 0: set lambdaMinClipped (-5.1, say), got a first step of pure noise",
        );
      }
      return { ofX: 1 / alpha, ofM: -sigma / alpha };
    case "x0":
      return { ofX: 0, ofM: 1 };
    case "v":
      return { ofX: alpha, ofM: -sigma };
  }
}

/** The noise in terms of x and m; sigma must not be 0 for x0-prediction. */
export function epsilonOf(prediction: Prediction, { alpha, sigma }: AlphaSigma): Combination {
  switch (prediction) {
    case "epsilon":
      return { ofX: 0, ofM: 1 };
    case "x0":
      return { ofX: 1 / sigma, ofM: -alpha / sigma };
    case "v":
      return { ofX: sigma, ofM: alpha };
  }
}
