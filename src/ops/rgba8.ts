// Pictures of the model's range as packed bytes.
import packed from "../../kernels/rgba8.packed.wgsl";
import { grid1d, type Op, required, shapeError, sizeOf, type TensorType } from "./op.ts";
import { expectDtype } from "./operands.ts";

const name = "rgba8";

/**
 * Input: x [N, H, W, 3] f32 in [-1, 1]; values beyond are clamped. Output: [N, H, W] u32, each a pixel with red in the
 * lowest byte, then green, blue and alpha 255, a channel v being (v + 1) 127.5 to the nearest whole number.
 */
export const toRgba8: Op<Record<string, never>> = {
  name,

  infer: (inputs) => ({ shape: pictureShape(required(name, "x", inputs, 0)), dtype: "u32" }),

  reference([x], output) {
    const byte = (v: number) => Math.floor(Math.min(Math.max((v + 1) * 127.5, 0), 255) + 0.5);
    return Float64Array.from({ length: sizeOf(output) }, (_, pixel) => {
      const [r, g, b] = x!.data.subarray(3 * pixel);
      return byte(r!) + byte(g!) * 2 ** 8 + byte(b!) * 2 ** 16 + 255 * 2 ** 24;
    });
  },

  variants: [
    {
      name: "rgba8.packed",
      suits: "any",
      launch: (_, output) => ({
        kernel: { name: "rgba8.packed", code: packed, bindings: ["read", "write"] },
        workgroups: grid1d(sizeOf(output), 64),
      }),
    },
  ],
};

function pictureShape(x: TensorType): readonly number[] {
  if (x.shape.length !== 4 || x.shape[3] !== 3) throw shapeError(name, "x", "[N, H, W, 3]", x.shape);
  expectDtype(name, "x", x, "f32");
  return x.shape.slice(0, 3);
}
