// Winograd convolution: tiles of the input at 36 points.
import register from "../../kernels/winograd_input.register.wgsl";
import { grid1d, type Op, required, shapeError, sizeOf } from "./op.ts";
import { blockedIndex, inputMatrix, inTwoDimensions, POINTS, TILE, TILE_BLOCK, tilesOf } from "./winograd.ts";

/** Attributes of `winograd_input`: those of the convolution, and its result's rows and columns. */
export interface WinogradInputAttributes {
  readonly padding: number;
  readonly upsample: 1 | 2;
  readonly height: number;
  readonly width: number;
}

/** Input: x [B, H, W, C], C a multiple of 4. Output: [36, ceil(tiles / 8), C / 4, 8, 4]; see `winograd.ts`. */
export const winogradInput: Op<WinogradInputAttributes> = {
  name: "winograd_input",

  infer(inputs, { height, width }) {
    const x = required("winograd_input", "x", inputs, 0);
    const [batch, , , c] = x.shape as [number, number, number, number];
    if (x.shape.length !== 4 || c % 4)
      throw shapeError("winograd_input", "x", "[B, H, W, C] with C a multiple of 4", x.shape);
    const { tiles } = tilesOf([batch, height, width]);
    return { shape: [POINTS, Math.ceil(tiles / TILE_BLOCK), c / 4, TILE_BLOCK, 4], dtype: "f32" };
  },

  reference([x], output, { padding, upsample, height, width }) {
    const [batch, h, w, channels] = x!.shape as [number, number, number, number];
    const { rows, columns, tiles } = tilesOf([batch, height, width]);
    const y = new Float64Array(sizeOf(output));
    for (let tile = 0; tile < tiles; tile++)
      for (let c = 0; c < channels; c++) {
        const pixel = (i: number, j: number) => {
          const row = Math.floor(((Math.floor(tile / columns) % rows) * TILE + i - padding) / upsample);
          const column = Math.floor(((tile % columns) * TILE + j - padding) / upsample);
          if (row < 0 || row >= h || column < 0 || column >= w) return 0;
          return x!.data[((Math.floor(tile / (rows * columns)) * h + row) * w + column) * channels + c]!;
        };
        for (const [point, value] of inTwoDimensions(inputMatrix, pixel).entries())
          y[blockedIndex(point, tile, c, tiles, channels, TILE_BLOCK)] = value;
      }
    return y;
  },

  variants: [
    {
      name: "winograd_input.register",
      suits: "software",
      launch: (inputs, _, { padding, upsample, height, width }) => {
        const [batch, h, w, c] = inputs[0]!.shape as [number, number, number, number];
        const { rows, columns, tiles } = tilesOf([batch, height, width]);
        return {
          kernel: {
            name: "winograd_input.register",
            code: register,
            bindings: ["read", "write"],
            parameters: ["H", "W", "C", "ROWS", "COLUMNS", "TILES", "PADDING", "UPSAMPLE"],
          },
          workgroups: grid1d((tiles * c) / 4, 64),
          parameters: [h, w, c, rows, columns, tiles, padding, upsample],
        };
      },
    },
  ],
};
