// Between single and half precision in memory.
import vec4 from "../../kernels/cast.vec4.wgsl";
import { grid1d, type Op, required, shapeError, sizeOf, storageOf } from "./op.ts";
import { expectDtype, unfitForVec4 } from "./operands.ts";

/** Attributes of `cast`. */
export interface CastAttributes {
  readonly dtype: "f32" | "f16";
}

/** Input: x [..., C], f32 or f16, C a multiple of 4 (halves are packed). Output: the same values, rounded to nearest, as `dtype`. */
export const cast: Op<CastAttributes> = {
  name: "cast",

  infer(inputs, { dtype }) {
    const x = required("cast", "x", inputs, 0);
    expectDtype("cast", "x", x, "f32", "f16");
    if (unfitForVec4(x)) throw shapeError("cast", "x", "[..., a multiple of 4]", x.shape);
    return { shape: x.shape, dtype };
  },

  reference: ([x]) => x!.data.slice(),

  variants: [
    {
      name: "cast.vec4",
      suits: "any",
      launch: ([x], output) => ({
        kernel: {
          name: "cast.vec4",
          code: vec4,
          bindings: ["read", "write"],
          storage: { x: storageOf(x), y: storageOf(output) },
        },
        workgroups: grid1d(sizeOf(output) / 4, 64),
      }),
    },
  ],
};
