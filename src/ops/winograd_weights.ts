// Winograd convolution: weights at 36 points, which depend on nothing else and so are computed when the model is loaded.
import kernel from "../../kernels/winograd_weights.register.wgsl";
import { grid1d, type Op, required, shapeError, sizeOf } from "./op.ts";
import { blockedIndex, inTwoDimensions, OUTPUT_BLOCK, POINTS, weightMatrix } from "./winograd.ts";

/** Input: w [3, 3, C, O], C a multiple of 4. Output: [36, ceil(O / 32), C / 4, 32, 4]; see `winograd.ts`. */
export const winogradWeights: Op<object> = {
  name: "winograd_weights",

  infer(inputs) {
    const w = required("winograd_weights", "w", inputs, 0);
    const [kh, kw, c, o] = w.shape as [number, number, number, number];
    if (w.shape.length !== 4 || kh !== 3 || kw !== 3 || c % 4)
      throw shapeError("winograd_weights", "w", "[3, 3, C, O] with C a multiple of 4", w.shape);
    return { shape: [POINTS, Math.ceil(o / OUTPUT_BLOCK), c / 4, OUTPUT_BLOCK, 4], dtype: "f32" };
  },

  reference([w], output) {
    const [, , channels, outputs] = w!.shape as [number, number, number, number];
    const y = new Float64Array(sizeOf(output));
    for (let c = 0; c < channels; c++)
      for (let o = 0; o < outputs; o++) {
        const points = inTwoDimensions(
          weightMatrix,
          (row, column) => w!.data[((row * 3 + column) * channels + c) * outputs + o]!,
        );
        for (const [point, value] of points.entries())
          y[blockedIndex(point, o, c, outputs, channels, OUTPUT_BLOCK)] = value;
      }
    return y;
  },

  variants: [
    {
      name: "winograd_weights.register",
      suits: "software",
      launch: (inputs) => {
        const [, , c, o] = inputs[0]!.shape as [number, number, number, number];
        return {
          kernel: {
            name: "winograd_weights.register",
            code: kernel,
            bindings: ["read", "write"],
            parameters: ["C", "O"],
          },
          workgroups: grid1d(c * o, 64),
          parameters: [c, o],
        };
      },
    },
  ],
};
