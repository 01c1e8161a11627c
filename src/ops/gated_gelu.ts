// The gate of a T5 v1.1 feed-forward layer.
import simple from "../../kernels/gated_gelu.simple.wgsl";
import vec4 from "../../kernels/gated_gelu.vec4.wgsl";
import { activate, activationCode, activationSource } from "./activation.ts";
import { expectShape, grid1d, type Launch, type Op, type Operands, required, sizeOf, storageOf } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Inputs: a [..., F], b [..., F]. Output: [..., F] = gelu(a) b, with the tanh form of gelu (GEGLU: Shazeer, 2020), stored as a is. */
export const gatedGelu: Op<Record<string, never>> = {
  name: "gated_gelu",

  infer(inputs) {
    const a = required("gated_gelu", "a", inputs, 0);
    const b = required("gated_gelu", "b", inputs, 1);
    expectShape("gated_gelu", "b", b, a.shape);
    expectDtype("gated_gelu", "a", a, "f32", "f16");
    expectDtype("gated_gelu", "b", b, "f32", "f16");
    return a;
  },

  reference: ([a, b]) => a!.data.map((v, i) => activate(v, "gelu") * b!.data[i]!),

  flops: (_, output) => 10 * sizeOf(output),

  variants: [
    {
      name: "gated_gelu.vec4",
      suits: "any",
      unfit: (_, [a]) => unfitForVec4(a),
      launch: (inputs, output) => ({
        kernel: specialise("vec4", vec4, inputs),
        workgroups: grid1d(sizeOf(output) / 4, 64),
      }),
    },
    {
      name: "gated_gelu.simple",
      suits: "any",
      unfit: (_, [a, b]) => unfitForScalar(a, b),
      launch: (inputs, output) => ({
        kernel: specialise("simple", simple, inputs),
        workgroups: grid1d(sizeOf(output), 64),
      }),
    },
  ],
};

function specialise(variant: string, code: string, [a, b]: Operands): Launch["kernel"] {
  return {
    name: `gated_gelu.${variant}`,
    code: activationSource("gelu") + code,
    bindings: ["read", "read", "write"],
    storage: { a: storageOf(a), b: storageOf(b), y: storageOf(a) },
    constants: { ACTIVATION: activationCode("gelu") },
  };
}
