// Noise on what a request brings along: an upscaler's smaller picture, neighbours.
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { randomNormal } from "../../ops/random_normal.ts";
import { samplerStep } from "../../ops/sampler_step.ts";
import { alphaSigma, type DiscreteSchedule } from "../schedule.ts";

/** As diffusion does: alpha x + sigma noise. x [N, ...], `key` u32 [N, 4] of the noise, `coefficients` [8] by `noisingCoefficients`. */
export function noised(g: GraphBuilder, x: Value, key: Value, coefficients: Value): Value {
  const noise = g.apply(randomNormal, [key], { shape: x.type.shape.slice(1) });
  return g.apply(samplerStep, [x, x, x, null, noise, coefficients, null], {});
}

/** What makes `noised` noise to a time of a schedule. */
export function noisingCoefficients(schedule: DiscreteSchedule, time: number): Float32Array<ArrayBuffer> {
  const { alpha, sigma } = alphaSigma(schedule, time);
  return Float32Array.of(0, 0, alpha, 0, 0, 0, sigma, 0);
}
