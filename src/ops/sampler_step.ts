// One step of any sampler: the next, less noisy picture as a linear combination.
import coefficients from "../../kernels/coefficients.wgsl";
import simple from "../../kernels/sampler_step.simple.wgsl";
import vec4 from "../../kernels/sampler_step.vec4.wgsl";
import { expectShape, type Op, required, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { elementwise, requiredSamples } from "./per_sample.ts";

const name = "sampler_step";

/**
 * Inputs: x, the model's output m and the thresholded x0 [N, ...], x0Previous (that of the step before) and noise
 * [N, ...] or null, coefficients [8] (px, pm, cx, cm, c0, c1, cn, cv), and the model's output about the variance [N, ...] or null; f32.
 * Output: [N, ...] f32, cx x + cm m + c0 x0 + c1 x0Previous + cn exp(cv (1 + variance) / 2) noise. x0Previous is not read where c1 is 0, nor
 * noise and variance where cn is.
 */
export const samplerStep: Op<Record<string, never>> = {
  name,

  infer(inputs) {
    const x = requiredSamples(name, "x", inputs, 0);
    for (const [operand, i] of Object.entries({ m: 1, x0: 2, x0Previous: 3, noise: 4, variance: 6 })) {
      const type = i < 3 ? required(name, operand, inputs, i) : inputs[i];
      expectShape(name, operand, type, x.shape);
      expectDtype(name, operand, type, "f32");
    }
    const step = required(name, "coefficients", inputs, 5);
    expectShape(name, "coefficients", step, [8]);
    expectDtype(name, "coefficients", step, "f32");
    return { shape: x.shape, dtype: "f32" };
  },

  reference([x, m, x0, x0Previous, noise, coefficients, variance]) {
    const [, , cx, cm, c0, c1, cn, cv] = coefficients!.data as unknown as number[];
    return x!.data.map(
      (v, i) =>
        cx! * v +
        cm! * m!.data[i]! +
        c0! * x0!.data[i]! +
        (x0Previous && c1 ? c1 * x0Previous.data[i]! : 0) +
        (noise && cn ? cn * Math.exp(variance ? (cv! * (1 + variance.data[i]!)) / 2 : 0) * noise.data[i]! : 0),
    );
  },

  flops: ([, , , x0Previous, noise, , variance], output) =>
    (5 + (x0Previous ? 2 : 0) + (noise ? 2 : 0) + (variance ? 4 : 0)) * sizeOf(output),

  variants: elementwise(
    name,
    { vec4: coefficients + vec4, simple: coefficients + simple },
    ([, , , x0Previous, noise, , variance]) => ({
      bindings: ["read", "read", "read", "read", "read", "read", "read", "write"],
      constants: { HAS_PREVIOUS: Boolean(x0Previous), HAS_NOISE: Boolean(noise), HAS_VARIANCE: Boolean(variance) },
    }),
  ),
};
