// The denoising loop as a graph: initial noise, the model, guidance, thresholding and the sampler's step.
import type { Graph, Value } from "../graph/graph.ts";
import { GraphBuilder } from "../graph/graph.ts";
import type { ModelConfig } from "../models/config.ts";
import { type Probe, type RequestShape, reimagen } from "../models/reimagen.ts";
import { absQuantile } from "../ops/abs_quantile.ts";
import { dynamicThreshold } from "../ops/dynamic_threshold.ts";
import { guidance } from "../ops/guidance.ts";
import { predictX0 } from "../ops/predict_x0.ts";
import { randomNormal } from "../ops/random_normal.ts";
import { toRgba8 } from "../ops/rgba8.ts";
import { samplerStep } from "../ops/sampler_step.ts";
import type { Thresholding } from "./thresholding.ts";

/** What distinguishes one loop's graph from another's; everything else is written into its inputs. */
export interface LoopShape extends RequestShape {
  readonly storage: "f32" | "f16";
  readonly thresholding: Thresholding;
  /** The sampler draws noise at its steps (DDPM, DDIM with eta). */
  readonly stochastic: boolean;
  /** The sampler remembers the x0 of the step before (DPM-Solver++). */
  readonly multistep: boolean;
}

/**
 * Inputs beyond the model's, per request: `noise.key` u32 [N, 4] (seed low, seed high, 0, 0). Per step: `coefficients` [8] (px, pm, cx, cm,
 * c0, c1, cn, cv), `weight` [N] with guidance, `step.key` u32 [N, 4] for stochastic samplers. State: `x` [N, S, S, 3].
 * Outputs: `noise` (to be copied into `x` before the first step), `x.next`, and as RGBA8 u32 [N, S, S] `picture` (of x.next) and `estimate` (of x0).
 */
export function denoisingLoop(config: ModelConfig, shape: LoopShape, probe?: (g: GraphBuilder) => Probe): Graph {
  const g = new GraphBuilder(shape.storage);
  const picture = [config.size, config.size, 3];
  const keys = (name: string, stage: "request" | "step") => g.input(name, [shape.pictures, 4], stage, "u32");
  g.output("noise", g.apply(randomNormal, [keys("noise.key", "request")], { shape: picture }));

  const x = g.input("x", [shape.pictures, ...picture], "step");
  const coefficients = g.input("coefficients", [8], "step");
  const prediction = reimagen(g, config, shape, x, probe?.(g));
  g.scope("sample", () => {
    const m =
      shape.evaluations > 1
        ? g.apply(guidance, [prediction, g.input("weight", [shape.pictures], "step")], {})
        : prediction;
    const x0 = estimate(g, shape.thresholding, x, m, coefficients);
    const previous = shape.multistep ? g.input("x0.previous", x.type.shape, "step") : null;
    const noise = shape.stochastic ? g.apply(randomNormal, [keys("step.key", "step")], { shape: picture }) : null;
    const next = g.apply(samplerStep, [x, m, x0, previous, noise, coefficients], {});
    g.state(x, next);
    if (previous) g.state(previous, x0);
    g.output("x.next", next);
    g.output("picture", g.apply(toRgba8, [next], {}));
    g.output("estimate", g.apply(toRgba8, [x0], {}));
  });
  return g.finish();
}

function estimate(g: GraphBuilder, thresholding: Thresholding, x: Value, m: Value, coefficients: Value): Value {
  const clip = thresholding.kind === "static" ? { clip: thresholding.range } : {};
  const x0 = g.apply(predictX0, [x, m, coefficients], clip);
  if (thresholding.kind !== "dynamic") return x0;
  const quantile = g.apply(absQuantile, [x0], { p: thresholding.quantile });
  return g.apply(dynamicThreshold, [x0, quantile], { max: thresholding.max });
}
