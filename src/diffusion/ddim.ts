// DDIM (Song et al. 2020): re-noise the predicted picture along the predicted noise, and with eta > 0 along fresh noise.
import type { AlphaSigma } from "./schedule.ts";
import { epsilonOf, type Prediction, type StepUpdate } from "./step.ts";

/** What DDIM leaves open. */
export interface DdimOptions {
  /** Share of the ancestral noise in [0, 1]: 0 is deterministic, 1 is DDPM with the posterior's variance. */
  eta: number;
  /** True: the noise is derived again from the thresholded x0, so that x0 and noise agree; false: the model's own. */
  useClippedModelOutput: boolean;
}

/** One DDIM step `from` -> `to` (Song et al. 2020, equation 12). */
export function ddimUpdate(
  from: AlphaSigma,
  to: AlphaSigma,
  prediction: Prediction,
  { eta, useClippedModelOutput }: DdimOptions,
): StepUpdate {
  const cn = eta * (to.sigma / from.sigma) * Math.sqrt(1 - (from.alpha / to.alpha) ** 2);
  const direction = Math.sqrt(Math.max(0, to.sigma ** 2 - cn ** 2));
  if (useClippedModelOutput) {
    const cx = direction / from.sigma;
    return { cx, cm: 0, c0: to.alpha - cx * from.alpha, c1: 0, cn };
  }
  const epsilon = epsilonOf(prediction, from);
  return { cx: direction * epsilon.ofX, cm: direction * epsilon.ofM, c0: to.alpha, c1: 0, cn };
}
