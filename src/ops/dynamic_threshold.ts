// Dynamic thresholding: a predicted picture that saturates is pulled back into [-1, 1] as a whole.
import simple from "../../kernels/dynamic_threshold.simple.wgsl";
import vec4 from "../../kernels/dynamic_threshold.vec4.wgsl";
import { ReimagenError } from "../errors.ts";
import { expectShape, type Op, required, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { elementwise, requiredSamples } from "./per_sample.ts";

/** Attributes of `dynamicThreshold`. */
export interface DynamicThresholdAttributes {
  /** The most that the threshold may be, finite and at least 1. */
  readonly max: number;
}

const name = "dynamic_threshold";

/**
 * Inputs: x0 [N, ...], quantile [N] (of |x0| over each sample); f32.
 * Output: [N, ...] f32, clamp(x0, -s, s) / s with s = clamp(quantile, 1, max) (Saharia et al., 2022, section 2.3).
 * Throws `argument` unless max is finite and at least 1.
 */
export const dynamicThreshold: Op<DynamicThresholdAttributes> = {
  name,

  infer(inputs, { max }) {
    const x0 = requiredSamples(name, "x0", inputs, 0);
    const quantile = required(name, "quantile", inputs, 1);
    expectShape(name, "quantile", quantile, [x0.shape[0]!]);
    expectDtype(name, "quantile", quantile, "f32");
    if (!(max >= 1 && max < Number.POSITIVE_INFINITY))
      throw new ReimagenError("argument", `${name}: max must be finite and at least 1, got ${max}`);
    return { shape: x0.shape, dtype: "f32" };
  },

  reference([x0, quantile], output, { max }) {
    const size = sizeOf(output) / output.shape[0]!;
    return x0!.data.map((v, i) => {
      const s = Math.min(Math.max(quantile!.data[Math.floor(i / size)]!, 1), max);
      return Math.min(Math.max(v, -s), s) / s;
    });
  },

  flops: (_, output) => sizeOf(output),

  variants: elementwise(name, { vec4, simple }, (_, { max }, size) => ({
    bindings: ["read", "read", "write"],
    constants: { SIZE: size },
    scalars: { MAX: max },
  })),
};
