// Two tensors side by side along the last axis: the noisy and the low-resolution picture of a super-resolution stage.
import simple from "../../kernels/concat.simple.wgsl";
import vec4 from "../../kernels/concat.vec4.wgsl";
import { expectShape, grid1d, type Launch, type Op, type Operands, required, sizeOf, storageOf } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Inputs: a [..., C], b [..., D]. Output: [..., C + D], stored as a is. */
export const concat: Op<Record<string, never>> = {
  name: "concat",

  infer(inputs) {
    const a = required("concat", "a", inputs, 0);
    const b = required("concat", "b", inputs, 1);
    const leading = a.shape.slice(0, -1);
    expectShape("concat", "b", b, [...leading, b.shape.at(-1)!]);
    expectDtype("concat", "a", a, "f32", "f16");
    expectDtype("concat", "b", b, "f32", "f16");
    return { shape: [...leading, a.shape.at(-1)! + b.shape.at(-1)!], dtype: a.dtype };
  },

  reference([a, b], output) {
    const [c, d] = [a!.shape.at(-1)!, b!.shape.at(-1)!];
    const y = new Float64Array(sizeOf(output));
    for (let row = 0; row < a!.data.length / c; row++) {
      y.set(a!.data.subarray(row * c, (row + 1) * c), row * (c + d));
      y.set(b!.data.subarray(row * d, (row + 1) * d), row * (c + d) + c);
    }
    return y;
  },

  variants: [
    {
      name: "concat.vec4",
      suits: "any",
      unfit: (_, [a, b]) => unfitForVec4(a, b),
      launch: (inputs, output) => ({
        kernel: specialise("vec4", vec4, inputs),
        workgroups: grid1d(sizeOf(output) / 4, 64),
        parameters: channelsOf(inputs).map((channels) => channels / 4),
      }),
    },
    {
      name: "concat.simple",
      suits: "any",
      unfit: (_, [a, b]) => unfitForScalar(a, b),
      launch: (inputs, output) => ({
        kernel: specialise("simple", simple, inputs),
        workgroups: grid1d(sizeOf(output), 64),
        parameters: channelsOf(inputs),
      }),
    },
  ],
};

function channelsOf([a, b]: Operands): number[] {
  return [a!.shape.at(-1)!, b!.shape.at(-1)!];
}

/** Channels are the kernels' uniform, in elements of theirs, so that one pipeline serves every concatenation of a storage. */
function specialise(variant: string, code: string, [a, b]: Operands): Launch["kernel"] {
  return {
    name: `concat.${variant}`,
    code,
    bindings: ["read", "read", "write"],
    storage: { a: storageOf(a), b: storageOf(b), y: storageOf(a) },
    parameters: ["C", "D"],
  };
}
