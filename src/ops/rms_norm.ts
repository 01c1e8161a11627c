// RMS norm over the last axis: the layer norm of T5-type text encoders.
import register from "../../kernels/rms_norm.register.wgsl";
import simple from "../../kernels/rms_norm.simple.wgsl";
import workgroup from "../../kernels/rms_norm.workgroup.wgsl";
import workgroupSum from "../../kernels/workgroup_sum.wgsl";
import { expectShape, grid1d, type Launch, type Op, required, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `rmsNorm`. */
export interface RmsNormAttributes {
  /** Added to the mean square. */
  readonly epsilon: number;
}

const name = "rms_norm";

/**
 * Inputs: x [..., D], gamma [D] f32. Output: [..., D] = x / sqrt(mean of x squared + epsilon) * gamma over the last axis
 * (Zhang & Sennrich, 2019; the layer norm of T5).
 */
export const rmsNorm: Op<RmsNormAttributes> = {
  name,

  infer(inputs) {
    const x = required(name, "x", inputs, 0);
    expectShape(name, "gamma", required(name, "gamma", inputs, 1), [x.shape.at(-1)!]);
    expectDtype(name, "x", x, "f32", "f16");
    expectDtype(name, "gamma", inputs[1], "f32");
    return x;
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

  variants: [
    {
      name: `${name}.register`,
      suits: "software",
      unfit: (_, [x]) => unfitForVec4(x),
      launch: ([x], output, { epsilon }) => ({
        kernel: specialise("register", register, x!, epsilon),
        workgroups: grid1d(rowsOf(output), 8),
      }),
    },
    {
      name: `${name}.workgroup`,
      suits: "hardware",
      unfit: (_, [x]) => unfitForVec4(x),
      launch: ([x], output, { epsilon }) => ({
        kernel: specialise("workgroup", workgroupSum + workgroup, x!, epsilon),
        workgroups: grid1d(rowsOf(output), 1),
      }),
    },
    {
      name: `${name}.simple`,
      suits: "any",
      unfit: (_, [x]) => unfitForScalar(x),
      launch: ([x], output, { epsilon }) => ({
        kernel: specialise("simple", simple, x!, epsilon),
        workgroups: grid1d(rowsOf(output), 8),
      }),
    },
  ],
};

const rowsOf = (output: TensorType) => sizeOf(output) / output.shape.at(-1)!;

function specialise(variant: string, code: string, x: TensorType, epsilon: number): Launch["kernel"] {
  return {
    name: `${name}.${variant}`,
    code,
    bindings: ["read", "read", "write"],
    storage: { x: storageOf(x), y: storageOf(x) },
    constants: { THREADS: 64 },
    scalars: { EPSILON: epsilon },
  };
}
