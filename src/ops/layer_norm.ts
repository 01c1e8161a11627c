// Layer norm over the last axis: tokens before the keys and values of a context, and pooled text.
import register from "../../kernels/layer_norm.register.wgsl";
import simple from "../../kernels/layer_norm.simple.wgsl";
import workgroup from "../../kernels/layer_norm.workgroup.wgsl";
import workgroupSum from "../../kernels/workgroup_sum.wgsl";
import { expectShape, grid1d, type Launch, type Op, required, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `layerNorm`. */
export interface LayerNormAttributes {
  /** Added to the variance. */
  readonly epsilon: number;
}

const name = "layer_norm";

/**
 * Inputs: x [..., D], gamma and beta [D] f32. Output: [..., D] = (x - mean) / sqrt(variance + epsilon) * gamma + beta over the last axis,
 * with biased variance (Ba, Kiros & Hinton, 2016).
 */
export const layerNorm: Op<LayerNormAttributes> = {
  name,

  infer(inputs) {
    const x = required(name, "x", inputs, 0);
    expectShape(name, "gamma", required(name, "gamma", inputs, 1), [x.shape.at(-1)!]);
    expectShape(name, "beta", required(name, "beta", inputs, 2), [x.shape.at(-1)!]);
    expectDtype(name, "beta", inputs[2], "f32");
    expectDtype(name, "x", x, "f32", "f16");
    expectDtype(name, "gamma", inputs[1], "f32");
    return x;
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
    bindings: ["read", "read", "read", "write"],
    storage: { x: storageOf(x), y: storageOf(x) },
    constants: { THREADS: 64 },
    scalars: { EPSILON: epsilon },
  };
}
