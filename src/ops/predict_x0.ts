// The clean picture that the noisy one and the model's output imply, whatever the model predicts.
import coefficients from "../../kernels/coefficients.wgsl";
import simple from "../../kernels/predict_x0.simple.wgsl";
import vec4 from "../../kernels/predict_x0.vec4.wgsl";
import { ReimagenError } from "../errors.ts";
import { expectShape, type Op, required, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { elementwise, requiredSamples } from "./per_sample.ts";

/** Attributes of `predictX0`. */
export interface PredictX0Attributes {
  /** Static thresholding: half the width of the range that x0 is clipped to; no clipping when absent. */
  readonly clip?: number;
}

const name = "predict_x0";

/**
 * Inputs: x and the model's output m [N, ...], coefficients [8] (px, pm, cx, cm, c0, c1, cn, cv); f32.
 * Output: [N, ...] f32, px x + pm m, clipped to [-clip, clip]. Throws `argument` unless clip is finite and above 0.
 */
export const predictX0: Op<PredictX0Attributes> = {
  name,

  infer(inputs, { clip }) {
    const x = requiredSamples(name, "x", inputs, 0);
    const m = requiredSamples(name, "m", inputs, 1);
    expectShape(name, "m", m, x.shape);
    const step = required(name, "coefficients", inputs, 2);
    expectShape(name, "coefficients", step, [8]);
    expectDtype(name, "coefficients", step, "f32");
    if (clip !== undefined && !(clip > 0 && clip < Number.POSITIVE_INFINITY))
      throw new ReimagenError("argument", `${name}: clip must be finite and above 0, got ${clip}`);
    return { shape: x.shape, dtype: "f32" };
  },

  reference([x, m, coefficients], _, { clip = Number.POSITIVE_INFINITY }) {
    const [px, pm] = coefficients!.data as unknown as [number, number];
    return x!.data.map((v, i) => Math.min(Math.max(px * v + pm * m!.data[i]!, -clip), clip));
  },

  flops: (_, output) => 3 * sizeOf(output),

  variants: elementwise(name, { vec4: coefficients + vec4, simple: coefficients + simple }, (_, { clip }) => ({
    bindings: ["read", "read", "read", "write"],
    constants: { CLIPPED: clip !== undefined },
    scalars: { CLIP: clip ?? 0 },
  })),
};
