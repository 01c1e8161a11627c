// What a multistep sampler makes of the model's present and earlier outputs: their sum by the step's weights.
import simple from "../../kernels/weighted_sum.simple.wgsl";
import vec4 from "../../kernels/weighted_sum.vec4.wgsl";
import { expectShape, type Op, required, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { elementwise, requiredSamples } from "./per_sample.ts";

const name = "weighted_sum";

/** Inputs: a, b, c, d, e [N, ...] and weights [5]; f32. Output: [N, ...] f32, the sum of each by its weight; an operand of weight 0 is not read. */
export const weightedSum: Op<Record<string, never>> = {
  name,

  infer(inputs) {
    const a = requiredSamples(name, "a", inputs, 0);
    for (const [i, operand] of ["b", "c", "d", "e"].entries()) {
      const type = required(name, operand, inputs, i + 1);
      expectShape(name, operand, type, a.shape);
      expectDtype(name, operand, type, "f32");
    }
    const weights = required(name, "weights", inputs, 5);
    expectShape(name, "weights", weights, [5]);
    expectDtype(name, "weights", weights, "f32");
    return { shape: a.shape, dtype: "f32" };
  },

  reference(inputs) {
    const weights = inputs[5]!.data;
    return Float64Array.from(inputs[0]!.data, (_, i) => {
      let sum = 0;
      for (let term = 0; term < 5; term++) if (weights[term]) sum += weights[term]! * inputs[term]!.data[i]!;
      return sum;
    });
  },

  flops: (_, output) => 10 * sizeOf(output),

  variants: /* @__PURE__ */ elementwise(name, { vec4, simple }, () => ({
    bindings: ["read", "read", "read", "read", "read", "read", "write"],
  })),
};
