// Some channels of a tensor: keys and values of what a layer made side by side with queries, or one of two predictions.
import simple from "../../kernels/slice.simple.wgsl";
import vec4 from "../../kernels/slice.vec4.wgsl";
import { ReimagenError } from "../errors.ts";
import { grid1d, type Op, required, showShape, sizeOf, storageOf } from "./op.ts";
import { expectDtype } from "./operands.ts";

/** Attributes of `slice`. */
export interface SliceAttributes {
  /** First channel. */
  readonly from: number;
  readonly count: number;
}

/** Input: x [..., C]. Output: [..., count], stored as x is; halves are packed, so that `from` and `count` must then be multiples of 4. */
export const slice: Op<SliceAttributes> = {
  name: "slice",

  infer(inputs, { from, count }) {
    const x = required("slice", "x", inputs, 0);
    expectDtype("slice", "x", x, "f32", "f16");
    const fits = from >= 0 && count > 0 && from + count <= x.shape.at(-1)!;
    if (!fits || (x.dtype === "f16" && !inFours(from, count)))
      throw new ReimagenError(
        "shape",
        `slice: ${x.dtype} ${showShape(x.shape)} has no ${count} channels from ${from} on`,
      );
    return { shape: [...x.shape.slice(0, -1), count], dtype: x.dtype };
  },

  reference([x], output, { from, count }) {
    const stride = x!.shape.at(-1)!;
    return Float64Array.from(
      { length: sizeOf(output) },
      (_, i) => x!.data[Math.floor(i / count) * stride + from + (i % count)]!,
    );
  },

  variants: [
    {
      name: "slice.vec4",
      suits: "any",
      unfit: (_, [x], __, { from, count }) =>
        inFours(from, count, x!.shape.at(-1)!) ? undefined : "channels do not come in fours",
      launch: ([x], output, { from, count }) => ({
        kernel: {
          name: "slice.vec4",
          code: vec4,
          bindings: ["read", "write"],
          parameters: ["FROM4", "COUNT4", "STRIDE4"],
          storage: { x: storageOf(x), y: storageOf(output) },
        },
        parameters: [from / 4, count / 4, x!.shape.at(-1)! / 4],
        workgroups: grid1d(sizeOf(output) / 4, 64),
      }),
    },
    {
      name: "slice.simple",
      suits: "any",
      unfit: (_, [x]) => (x!.dtype === "f16" ? "f16 storage" : undefined),
      launch: ([x], output, { from, count }) => ({
        kernel: {
          name: "slice.simple",
          code: simple,
          bindings: ["read", "write"],
          parameters: ["FROM", "COUNT", "STRIDE"],
        },
        parameters: [from, count, x!.shape.at(-1)!],
        workgroups: grid1d(sizeOf(output), 64),
      }),
    },
  ],
};

const inFours = (...numbers: readonly number[]) => numbers.every((n) => n % 4 === 0);
