// A network's output around the smaller picture is v of what Bayes' rule makes of both pictures.
import { describe, expect, it } from "vitest";
import { alphaSigma, cosineSchedule } from "../../src/diffusion/schedule.ts";
import { residualCoefficients } from "../../src/models/residual.ts";

const std = 0.15;
const [low, x] = [0.4, -0.7];
const scalesOf = (time: number) => alphaSigma(cosineSchedule, time);

/** The clean value that follows from v, where the network says `output`. */
function clean(time: number, level: number, output: number): number {
  const { alpha, sigma } = scalesOf(time);
  const [, , ofX, ofOutput, ofLow] = residualCoefficients(std, scalesOf(time), scalesOf(level));
  return alpha * x - sigma * (ofX! * x + ofLow! * low + ofOutput! * output);
}

/** Mean and standard deviation of a normal value that was seen twice, each time scaled and noised. */
function posterior(time: number, level: number): { mean: number; deviation: number } {
  const [seen, given] = [scalesOf(time), scalesOf(level)];
  const prior = { mean: low / given.alpha, precision: 1 / (std ** 2 + (given.sigma / given.alpha) ** 2) };
  const precision = prior.precision + (seen.alpha / seen.sigma) ** 2;
  const mean = (prior.mean * prior.precision + (x * seen.alpha) / seen.sigma ** 2) / precision;
  return { mean, deviation: precision ** -0.5 };
}

describe.each([
  [1, 0.1],
  [0.7, 0],
  [0.3, 0.5],
  [0.02, 0.1],
])("time %d, level %d", (time, level) => {
  it("the output counts deviations from the mean", () => {
    const { mean, deviation } = posterior(time, level);
    for (const output of [0, 1, -2]) expect(clean(time, level, output)).toBeCloseTo(mean + output * deviation, 5);
  });
});

it("without noise in the picture everything stays finite", () => {
  for (const value of residualCoefficients(std, { alpha: 1, sigma: 0 }, scalesOf(0.1))) expect(value).not.toBeNaN();
});
