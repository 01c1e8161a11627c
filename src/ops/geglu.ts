// The gate of a diffusion transformer's feed-forward layer: one tensor holds the values and their gates.
import simple from "../../kernels/geglu.simple.wgsl";
import vec4 from "../../kernels/geglu.vec4.wgsl";
import { activate, activationCode, activationSource } from "./activation.ts";
import { grid1d, type Launch, type Op, required, shapeError, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Input: x [..., 2F], values before gates. Output: [..., F] = value gelu(gate), with gelu itself (GEGLU: Shazeer, 2020), stored as x is. */
export const geglu: Op<Record<string, never>> = {
  name: "geglu",

  infer(inputs) {
    const x = required("geglu", "x", inputs, 0);
    if (x.shape.at(-1)! % 2) throw shapeError("geglu", "x", "[..., an even number]", x.shape);
    expectDtype("geglu", "x", x, "f32", "f16");
    const type = { shape: [...x.shape.slice(0, -1), x.shape.at(-1)! / 2], dtype: x.dtype };
    // Packed halves are read in fours, from each half of a row.
    if (x.dtype === "f16" && unfitForVec4(type)) throw shapeError("geglu", "x", "[..., a multiple of 8]", x.shape);
    return type;
  },

  reference([x], output) {
    const f = output.shape.at(-1)!;
    return Float64Array.from({ length: sizeOf(output) }, (_, i) => {
      const value = Math.floor(i / f) * 2 * f + (i % f);
      return x!.data[value]! * activate(x!.data[value + f]!, "gelu_erf");
    });
  },

  flops: (_, output) => 20 * sizeOf(output),

  variants: [
    {
      name: "geglu.vec4",
      suits: "any",
      unfit: (_, __, output) => unfitForVec4(output),
      launch: ([x], output) => ({
        kernel: specialise("vec4", vec4, x!),
        workgroups: grid1d(sizeOf(output) / 4, 64),
        parameters: [output.shape.at(-1)! / 4],
      }),
    },
    {
      name: "geglu.simple",
      suits: "any",
      unfit: (_, [x]) => unfitForScalar(x),
      launch: ([x], output) => ({
        kernel: specialise("simple", simple, x!),
        workgroups: grid1d(sizeOf(output), 64),
        parameters: [output.shape.at(-1)!],
      }),
    },
  ],
};

function specialise(variant: string, code: string, x: TensorType): Launch["kernel"] {
  return {
    name: `geglu.${variant}`,
    code: activationSource("gelu_erf") + code,
    bindings: ["read", "write"],
    storage: { x: storageOf(x), y: storageOf(x) },
    constants: { ACTIVATION: activationCode("gelu_erf") },
    parameters: ["F"],
  };
}
