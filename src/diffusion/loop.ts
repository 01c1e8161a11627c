// The denoising loop as a graph: initial noise, a model, guidance, thresholding and the sampler's step.
import type { Graph, Value } from "../graph/graph.ts";
import { GraphBuilder } from "../graph/graph.ts";
import { absQuantile } from "../ops/abs_quantile.ts";
import { dynamicThreshold } from "../ops/dynamic_threshold.ts";
import { guidance } from "../ops/guidance.ts";
import { predictX0 } from "../ops/predict_x0.ts";
import { randomNormal } from "../ops/random_normal.ts";
import { toRgba8 } from "../ops/rgba8.ts";
import { samplerStep } from "../ops/sampler_step.ts";
import { weightedSum } from "../ops/weighted_sum.ts";
import type { Thresholding } from "./thresholding.ts";

/** What the loop asks of a model; its inputs are filled by `Conditions`. */
export interface DenoisingModel {
  /** Of what is denoised. */
  readonly extent: readonly [height: number, width: number, channels: number];
  /** Whether that is a picture in [-1, 1], to be looked at at every step; latents are not. */
  readonly visible: boolean;
  /** Adds its evaluations of x [N, H, W, C], f32. */
  build(g: GraphBuilder, x: Value): Evaluated;
}

/** What a model makes of x, f32. */
export interface Evaluated {
  /** [evaluations x N, H, W, C], the conditional evaluations first. */
  readonly prediction: Value;
  /** What the conditional evaluation says of the variance, nominally in [-1, 1]: [N, H, W, C]. */
  readonly variance?: Value;
}

/** What distinguishes one loop's graph from another's beside the model; everything else is written into its inputs. */
export interface LoopShape {
  /** Of activations. */
  readonly storage: "f32" | "f16";
  /** Of matrices and kernels; that of activations when absent. */
  readonly weights?: "f32" | "f16" | "q8";
  /** Pictures drawn at once. */
  readonly pictures: number;
  /** Evaluations of the model a picture and step: 2 with guidance, else 1. */
  readonly evaluations: 1 | 2;
  readonly thresholding: Thresholding;
  /** The sampler draws noise at its steps (DDPM, DDIM with eta). */
  readonly stochastic: boolean;
  /** The sampler remembers the x0 of the step before (DPM-Solver++). */
  readonly multistep: boolean;
  /** The sampler remembers the model's outputs of so many steps (PNDM); none when absent. */
  readonly remembered?: number;
  /** The sampler asks the model for the variance of its noise. */
  readonly learnedVariance?: boolean;
}

/**
 * Inputs beyond the model's, per request: `noise.key` u32 [N, 4] (seed low, seed high, 0, 0). Per step: `coefficients` [8] (px, pm, cx, cm,
 * c0, c1, cn, cv), `weight` [N] with guidance, `step.key` u32 [N, 4] for stochastic samplers, `weights` [5] where outputs are remembered. States: `x`
 * [N, H, W, C], and what the sampler remembers.
 * Outputs: `noise` (to be copied into `x` before the first step), `x.next`, and of what is visible as RGBA8 u32 [N, H, W] `picture` (of x.next)
 * and `estimate` (of x0).
 */
export function denoisingLoop(model: DenoisingModel, shape: LoopShape): Graph {
  const g = new GraphBuilder(shape.storage, shape.weights);
  const extent = [...model.extent];
  const keys = (name: string, stage: "request" | "step") => g.input(name, [shape.pictures, 4], stage, "u32");
  g.output("noise", g.apply(randomNormal, [keys("noise.key", "request")], { shape: extent }));

  const x = g.input("x", [shape.pictures, ...extent], "step");
  const coefficients = g.input("coefficients", [8], "step");
  const { prediction, variance } = model.build(g, x);
  g.scope("sample", () => {
    const m =
      shape.evaluations > 1
        ? g.apply(guidance, [prediction, g.input("weight", [shape.pictures], "step")], {})
        : prediction;
    const x0 = estimate(g, shape.thresholding, x, m, coefficients);
    const previous = shape.multistep ? g.input("x0.previous", x.type.shape, "step") : null;
    const noise = shape.stochastic ? g.apply(randomNormal, [keys("step.key", "step")], { shape: extent }) : null;
    const learned = (shape.learnedVariance && variance) || null;
    const sum = shape.remembered ? extrapolated(g, m, shape.remembered) : m;
    const next = g.apply(samplerStep, [x, sum, x0, previous, noise, coefficients, learned], {});
    g.state(x, next);
    if (previous) g.state(previous, x0);
    g.output("x.next", next);
    if (!model.visible) return;
    g.output("picture", g.apply(toRgba8, [next], {}));
    g.output("estimate", g.apply(toRgba8, [x0], {}));
  });
  return g.finish();
}

/** What the outputs of this step and of those before it make by the step's weights. */
function extrapolated(g: GraphBuilder, m: Value, remembered: number): Value {
  const earlier = Array.from({ length: remembered }, (_, i) => g.input(`m.previous.${i + 1}`, m.type.shape, "step"));
  const sum = g.apply(weightedSum, [m, ...earlier, g.input("weights", [remembered + 1], "step")], {});
  // The oldest first: each becomes what the one before it was.
  for (let i = remembered - 1; i >= 0; i--) g.state(earlier[i]!, i > 0 ? earlier[i - 1]! : m);
  return sum;
}

function estimate(g: GraphBuilder, thresholding: Thresholding, x: Value, m: Value, coefficients: Value): Value {
  const clip = thresholding.kind === "static" ? { clip: thresholding.range } : {};
  const x0 = g.apply(predictX0, [x, m, coefficients], clip);
  if (thresholding.kind !== "dynamic") return x0;
  const quantile = g.apply(absQuantile, [x0], { p: thresholding.quantile });
  return g.apply(dynamicThreshold, [x0, quantile], { max: thresholding.max });
}
