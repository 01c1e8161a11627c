// RMS norm over the last axis: the layer norm of T5-type text encoders.
import simple from "../../kernels/rms_norm.simple.wgsl";
import { expectShape, type Op, required, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { type RowNormAttributes, rowNormVariants } from "./row_norm.ts";

const name = "rms_norm";

/**
 * Inputs: x [..., D], gamma [D] f32. Output: [..., D] = x / sqrt(mean of x squared + epsilon) * gamma over the last axis
 * (Zhang & Sennrich, 2019; the layer norm of T5).
 */
export const rmsNorm: Op<RowNormAttributes> = {
  name,

  infer(inputs, { dtype }) {
    const x = required(name, "x", inputs, 0);
    expectShape(name, "gamma", required(name, "gamma", inputs, 1), [x.shape.at(-1)!]);
    expectDtype(name, "x", x, "f32", "f16");
    expectDtype(name, "gamma", inputs[1], "f32");
    return dtype ? { ...x, dtype } : x;
  },

  reference([x, gamma], output, { epsilon }) {
    const d = output.shape.at(-1)!;
    const y = new Float64Array(sizeOf(output));
    for (let start = 0; start < y.length; start += d) {
      const row = x!.data.subarray(start, start + d);
      const rstd = 1 / Math.sqrt(row.reduce((sum, v) => sum + v * v, 0) / d + epsilon);
      for (let i = 0; i < d; i++) y[start + i] = row[i]! * rstd * gamma!.data[i]!;
    }
    return y;
  },

  flops: (_, output) => 4 * sizeOf(output),

  variants: /* @__PURE__ */ rowNormVariants(name, 2, simple, "rmsNorm"),
};
