// Layer norm over the last axis: tokens before the keys and values of a context, and pooled text.
import simple from "../../kernels/layer_norm.simple.wgsl";
import { expectShape, type Op, required, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { type RowNormAttributes, rowNormVariants } from "./row_norm.ts";

const name = "layer_norm";

/**
 * Inputs: x [..., D], gamma and beta [D] f32. Output: [..., D] = (x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis,
 * with biased variance (Ba, Kiros & Hinton, 2016).
 */
export const layerNorm: Op<RowNormAttributes> = {
  name,

  infer(inputs, { dtype }) {
    const x = required(name, "x", inputs, 0);
    expectShape(name, "gamma", required(name, "gamma", inputs, 1), [x.shape.at(-1)!]);
    expectShape(name, "beta", required(name, "beta", inputs, 2), [x.shape.at(-1)!]);
    expectDtype(name, "beta", inputs[2], "f32");
    expectDtype(name, "x", x, "f32", "f16");
    expectDtype(name, "gamma", inputs[1], "f32");
    return dtype ? { ...x, dtype } : x;
  },

  reference([x, gamma, beta], output, { epsilon }) {
    const d = output.shape.at(-1)!;
    const y = new Float64Array(sizeOf(output));
    for (let start = 0; start < y.length; start += d) {
      const row = x!.data.subarray(start, start + d);
      const mean = row.reduce((sum, v) => sum + v, 0) / d;
      const variance = row.reduce((sum, v) => sum + (v - mean) ** 2, 0) / d;
      const rstd = 1 / Math.sqrt(variance + epsilon);
      for (let i = 0; i < d; i++) y[start + i] = (row[i]! - mean) * rstd * gamma!.data[i]! + beta!.data[i]!;
    }
    return y;
  },

  flops: (_, output) => 7 * sizeOf(output),

  variants: /* @__PURE__ */ rowNormVariants(name, 3, simple, "layerNorm"),
};
