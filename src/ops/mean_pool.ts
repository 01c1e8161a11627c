// Mean over the tokens of a prompt that are no padding.
import simple from "../../kernels/mean_pool.simple.wgsl";
import vec4 from "../../kernels/mean_pool.vec4.wgsl";
import {
  expectShape,
  grid1d,
  type Launch,
  type Op,
  required,
  shapeError,
  sizeOf,
  storageOf,
  type TensorType,
} from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Inputs: x [R, T, D], lengths [R] u32. Output: [R, D], the mean over the first `length` tokens (at most T); zeros for length 0. */
export const meanPool: Op<Record<string, never>> = {
  name: "mean_pool",

  infer(inputs) {
    const x = required("mean_pool", "x", inputs, 0);
    const lengths = required("mean_pool", "lengths", inputs, 1);
    if (x.shape.length !== 3) throw shapeError("mean_pool", "x", "[R, T, D]", x.shape);
    expectShape("mean_pool", "lengths", lengths, [x.shape[0]!]);
    expectDtype("mean_pool", "x", x, "f32", "f16");
    expectDtype("mean_pool", "lengths", lengths, "u32");
    return { shape: [x.shape[0]!, x.shape[2]!], dtype: x.dtype };
  },

  reference([x, lengths], output) {
    const [rows, tokens, d] = x!.shape as [number, number, number];
    const y = new Float64Array(sizeOf(output));
    for (let row = 0; row < rows; row++) {
      const length = Math.min(lengths!.data[row]!, tokens);
      for (let token = 0; token < length; token++)
        for (let i = 0; i < d; i++) y[row * d + i]! += x!.data[(row * tokens + token) * d + i]! / length;
    }
    return y;
  },

  flops: ([x]) => sizeOf(x!),

  variants: [
    {
      name: "mean_pool.vec4",
      suits: "any",
      unfit: (_, [x]) => unfitForVec4(x),
      launch: ([x], output) => ({ kernel: specialise("vec4", vec4, x!), workgroups: grid1d(sizeOf(output) / 4, 8) }),
    },
    {
      name: "mean_pool.simple",
      suits: "any",
      unfit: (_, [x]) => unfitForScalar(x),
      launch: ([x], output) => ({ kernel: specialise("simple", simple, x!), workgroups: grid1d(sizeOf(output), 8) }),
    },
  ],
};

function specialise(variant: string, code: string, x: TensorType): Launch["kernel"] {
  const d = x.shape[2]!;
  return {
    name: `mean_pool.${variant}`,
    code,
    bindings: ["read", "read", "write"],
    storage: { x: storageOf(x), y: storageOf(x) },
    constants: { D: d, D4: Math.floor(d / 4) },
  };
}
