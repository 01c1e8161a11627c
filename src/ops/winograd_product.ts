// Winograd convolution: the products at each of 36 points, summed over channels.
import kernel from "../../kernels/winograd_product.quad.wgsl";
import { unfitForSubgroups } from "./lazy_kernels.ts";
import { type Op, required, shapeError, sizeOf } from "./op.ts";
import { blockedIndex, OUTPUT_BLOCK, POINTS, TILE_BLOCK } from "./winograd.ts";

/** Attributes of `winograd_product`: rows and columns of the result, as operands are padded. */
export interface WinogradProductAttributes {
  readonly tiles: number;
  readonly outputs: number;
}

/** Inputs: v [36, ceil(tiles / 8), C / 4, 8, 4], w [36, ceil(outputs / 32), C / 4, 32, 4]. Output: [36, tiles, outputs], outputs a multiple of 4. */
export const winogradProduct: Op<WinogradProductAttributes> = {
  name: "winograd_product",

  infer(inputs, { tiles, outputs }) {
    const [v, w] = [required("winograd_product", "v", inputs, 0), required("winograd_product", "w", inputs, 1)];
    const blocks = (count: number, block: number) => [POINTS, Math.ceil(count / block), v.shape[2]!, block, 4].join();
    if (v.shape.join() !== blocks(tiles, TILE_BLOCK))
      throw shapeError("winograd_product", "v", `blocks of ${tiles} tiles`, v.shape);
    if (w.shape.join() !== blocks(outputs, OUTPUT_BLOCK) || outputs % 4)
      throw shapeError("winograd_product", "w", `blocks of ${outputs} outputs, in fours, by v's channels`, w.shape);
    return { shape: [POINTS, tiles, outputs], dtype: "f32" };
  },

  reference([v, w], output, { tiles, outputs }) {
    const channels = v!.shape[2]! * 4;
    const y = new Float64Array(sizeOf(output));
    for (let at = 0; at < y.length; at++) {
      const [point, tile, o] = [Math.floor(at / (tiles * outputs)), Math.floor(at / outputs) % tiles, at % outputs];
      for (let c = 0; c < channels; c++)
        y[at]! +=
          v!.data[blockedIndex(point, tile, c, tiles, channels, TILE_BLOCK)]! *
          w!.data[blockedIndex(point, o, c, outputs, channels, OUTPUT_BLOCK)]!;
    }
    return y;
  },

  flops: (inputs, output) => 2 * sizeOf(output) * inputs[0]!.shape[2]! * 4,

  variants: [
    {
      name: "winograd_product.quad",
      suits: "software",
      unfit: unfitForSubgroups,
      launch: (inputs, _, { tiles, outputs }) => ({
        kernel: {
          name: "winograd_product.quad",
          code: kernel,
          bindings: ["read", "read", "write"],
          enable: ["subgroups"],
          parameters: ["C4", "O4", "TILES"],
        },
        // Two quads a workgroup.
        workgroups: [Math.ceil((Math.ceil(tiles / TILE_BLOCK) * Math.ceil(outputs / OUTPUT_BLOCK)) / 2), POINTS, 1],
        parameters: [inputs[0]!.shape[2]!, outputs / 4, tiles],
      }),
    },
  ],
};
