// DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): a second-order multistep solver of the diffusion ODE in x0.
import { type AlphaSigma, lambda } from "./schedule.ts";
import type { StepUpdate } from "./step.ts";

/**
 * One step `from` -> `to`; `previous` is where the step before began, undefined for a first-order step. The midpoint form:
 * x' = (sigma_to / sigma_from) x + gain (x0 + (x0 - x0Previous) / (2 r)), r = (previous step) / (this step) in lambda,
 * gain = alpha_to (1 - e^-h) = alpha_to - sigma_to alpha_from / sigma_from, which holds no infinity where lambda does.
 * From pure noise lambda is -Infinity: the step before was then infinitely long, r is infinite, the correction fades
 * to 0. A step to sigma = 0 must be first order; it lands on x0.
 */
export function dpmSolverUpdate(previous: AlphaSigma | undefined, from: AlphaSigma, to: AlphaSigma): StepUpdate {
  const cx = to.sigma / from.sigma;
  const gain = to.alpha - cx * from.alpha;
  const correction = previous ? halfInverseRatio(lambda(previous), lambda(from), lambda(to)) : 0;
  return { cx, cm: 0, c0: gain * (1 + correction), c1: -gain * correction, cn: 0 };
}

function halfInverseRatio(previous: number, from: number, to: number): number {
  return (0.5 * (to - from)) / (from - previous);
}
