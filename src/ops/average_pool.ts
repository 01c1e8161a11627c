// Halves a feature map: the mean of each 2x2 pixels.
import simple from "../../kernels/average_pool.simple.wgsl";
import vec4 from "../../kernels/average_pool.vec4.wgsl";
import { grid1d, type Launch, type Op, required, shapeError, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

const name = "average_pool";

/** Input: x [B, H, W, C]. Output: [B, floor(H / 2), floor(W / 2), C], the mean of 2x2 pixels; a last odd row or column is left out. */
export const averagePool: Op<Record<string, never>> = {
  name,

  infer(inputs) {
    const x = required(name, "x", inputs, 0);
    const [batch, height, width, channels] = x.shape as [number, number, number, number];
    if (x.shape.length !== 4 || height < 2 || width < 2)
      throw shapeError(name, "x", "[B, at least 2, at least 2, C]", x.shape);
    expectDtype(name, "x", x, "f32", "f16");
    return { shape: [batch, Math.floor(height / 2), Math.floor(width / 2), channels], dtype: x.dtype };
  },

  reference([x], output) {
    const [, height, width] = x!.shape as [number, number, number];
    const [, ho, wo, channels] = output.shape as [number, number, number, number];
    return Float64Array.from({ length: sizeOf(output) }, (_, i) => {
      const [channel, column] = [i % channels, Math.floor(i / channels) % wo];
      const [row, sample] = [Math.floor(i / channels / wo) % ho, Math.floor(i / channels / wo / ho)];
      const value = (dy: number, dx: number) =>
        x!.data[((sample * height + 2 * row + dy) * width + 2 * column + dx) * channels + channel]!;
      return (value(0, 0) + value(0, 1) + value(1, 0) + value(1, 1)) / 4;
    });
  },

  flops: (_, output) => 4 * sizeOf(output),

  variants: [
    {
      name: "average_pool.vec4",
      suits: "any",
      unfit: (_, [x]) => unfitForVec4(x),
      launch: ([x], output) => launch("vec4", vec4, x!, output, 4),
    },
    {
      name: "average_pool.simple",
      suits: "any",
      unfit: (_, [x]) => unfitForScalar(x),
      launch: ([x], output) => launch("simple", simple, x!, output, 1),
    },
  ],
};

/** `channels`: how many a thread takes. */
function launch(variant: string, code: string, x: TensorType, output: TensorType, channels: number): Launch {
  const [, height, width] = x.shape as [number, number, number];
  const [, ho, wo, c] = output.shape as [number, number, number, number];
  return {
    kernel: {
      name: `${name}.${variant}`,
      code,
      bindings: ["read", "write"],
      storage: { x: storageOf(x), y: storageOf(output) },
      parameters: ["H", "W", "HO", "WO", "C"],
    },
    workgroups: grid1d(sizeOf(output) / channels, 64),
    parameters: [height, width, ho, wo, c / channels],
  };
}
