// Guidance: the conditional and the base evaluation of the model, which ran as one batch, become one prediction.
import simple from "../../kernels/guidance.simple.wgsl";
import vec4 from "../../kernels/guidance.vec4.wgsl";
import { expectShape, type Op, required, shapeError, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { elementwise, requiredSamples } from "./per_sample.ts";

const name = "guidance";

/**
 * Inputs: model [2N, ...] (N conditional evaluations, then their N bases), weight [N]; f32.
 * Output: [N, ...] f32, base + weight (conditional - base): the gamma e - (gamma - 1) e_base of Chen et al. (2022), section 3.3.
 */
export const guidance: Op<Record<string, never>> = {
  name,

  infer(inputs) {
    const model = requiredSamples(name, "model", inputs, 0);
    const [evaluations, ...shape] = model.shape as [number, ...number[]];
    if (evaluations % 2) throw shapeError(name, "model", "[2N, ...]", model.shape);
    const weight = required(name, "weight", inputs, 1);
    expectShape(name, "weight", weight, [evaluations / 2]);
    expectDtype(name, "weight", weight, "f32");
    return { shape: [evaluations / 2, ...shape], dtype: "f32" };
  },

  reference([model, weight], output) {
    const count = sizeOf(output);
    const size = count / output.shape[0]!;
    return Float64Array.from({ length: count }, (_, i) => {
      const [conditional, base] = [model!.data[i]!, model!.data[count + i]!];
      return base + weight!.data[Math.floor(i / size)]! * (conditional - base);
    });
  },

  flops: (_, output) => 3 * sizeOf(output),

  variants: elementwise(name, { vec4, simple }, (_, __, size) => ({
    bindings: ["read", "read", "write"],
    constants: { SIZE: size },
  })),
};
