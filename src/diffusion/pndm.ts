// PNDM by linear multisteps (Liu et al. 2022, F-PNDM without its Runge-Kutta start, as Stable Diffusion runs it): DDIM's step by what the last four answers extrapolate to.
import { epsilonOf, type Prediction, type StepCoefficients, x0Of } from "./step.ts";
import type { SamplingPoint } from "./timesteps.ts";

/**
 * Weights of the answer and of the four before it, latest first. The first step is DDIM's, the second takes it again with the mean of the answers at both of its
 * ends; from then on the formulas of Adams and Bashforth, of rising order. The answer of the second evaluation is at the same time as that of the third, and no
 * later step looks back at it.
 */
const starting = [
  [1, 0, 0, 0, 0],
  [1, -1, 0, 0, 0],
  [3 / 2, 0, -1 / 2, 0, 0],
  [23 / 12, -16 / 12, 0, 5 / 12, 0],
  [55 / 24, -59 / 24, 37 / 24, 0, -9 / 24],
];
const settled = [55 / 24, -59 / 24, 37 / 24, -9 / 24, 0];

/** The answers that a step looks back at. */
export const rememberedAnswers = 4;

/** All steps through the points, one more than there are ways between them unless there is but one. What is thresholded is x0 as it is shown; the way does not depend on it. */
export function pndmSteps(points: readonly SamplingPoint[], prediction: Prediction): StepCoefficients[] {
  const ways = points.slice(0, -1).map((from, i) => {
    const to = points[i + 1]!;
    const [x0, epsilon] = [x0Of(prediction, from), epsilonOf(prediction, from)];
    return {
      from,
      cx: to.alpha * x0.ofX + to.sigma * epsilon.ofX,
      cm: to.alpha * x0.ofM + to.sigma * epsilon.ofM,
    };
  });
  const [first, second, ...others] = ways;
  // From where the first step led, half of the way between the answers corrects it to their mean.
  const again = second && { from: second.from, cx: 1, cm: first!.cm / 2 };
  const steps = [first!, ...(second && again ? [again, second] : []), ...others];
  return steps.map(({ from, cx, cm }, i) => {
    const { ofX: px, ofM: pm } = x0Of(prediction, from);
    const weights = starting[i] ?? settled;
    return { timestep: from.timestep, px, pm, cx, cm, c0: 0, c1: 0, cn: 0, weights };
  });
}
