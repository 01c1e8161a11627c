// DDPM ancestral sampling (Ho et al. 2020): draw from the posterior of the less noisy picture.
import type { AlphaSigma } from "./schedule.ts";
import type { StepUpdate } from "./step.ts";

/** Allowed names of the ancestral noise's variance. */
export const ddpmVariances = ["fixed_small", "fixed_small_log", "fixed_large", "learned_range"] as const;

/**
 * Variance of the ancestral noise: the posterior's (`fixed_small`; `fixed_small_log` names the same number kept as a
 * logarithm), beta (`fixed_large`), or between these two what the model says, -1 to 1 on a logarithmic scale
 * (`learned_range`; Nichol & Dhariwal 2021, equation 15).
 */
export type DdpmVariance = (typeof ddpmVariances)[number];

/**
 * One ancestral step `from` -> `to` (Ho et al. 2020, equation 7), for steps of any length: beta becomes
 * 1 - (alpha_from / alpha_to)^2. A step that lands on sigma = 0 draws no noise.
 */
export function ddpmUpdate(from: AlphaSigma, to: AlphaSigma, variance: DdpmVariance): StepUpdate {
  const ratio = from.alpha / to.alpha;
  const beta = 1 - ratio ** 2;
  const remaining = (to.sigma / from.sigma) ** 2;
  const drawn = variance === "fixed_large" && to.sigma > 0 ? beta : remaining * beta;
  const update = { cx: ratio * remaining, cm: 0, c0: (to.alpha * beta) / from.sigma ** 2, c1: 0, cn: Math.sqrt(drawn) };
  if (variance !== "learned_range") return update;
  return { ...update, cv: to.sigma > 0 ? Math.log(from.sigma / to.sigma) : 0 };
}
