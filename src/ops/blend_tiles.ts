// Overlapping tiles laid over each other to make one feature map.
import simple from "../../kernels/blend_tiles.simple.wgsl";
import { expectShape, grid1d, type Op, required, shapeError, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";

const name = "blend_tiles";

/** The tiles: so many down, so many across. */
export interface BlendTilesAttributes {
  readonly rows: number;
  readonly columns: number;
}

/** Where the tile `index` of `count` begins on an axis: they are spread evenly, from its beginning to its end. */
export function tileStart(extent: number, length: number, count: number, index: number): number {
  return count > 1 ? Math.floor((2 * index * (extent - length) + count - 1) / (2 * (count - 1))) : 0;
}

/**
 * Inputs, f32: tiles [rows x columns, B, h, w, C], row by row, each where `tileStart` puts it; the share of each row of tiles in each of the H
 * rows of the whole [rows, H], and of each column of tiles in each of its W columns [columns, W]. Output: [B, H, W, C], the sum of the tiles by the
 * product of both shares.
 */
export const blendTiles: Op<BlendTilesAttributes> = {
  name,

  infer([...inputs], { rows, columns }) {
    const tiles = required(name, "tiles", inputs, 0);
    const down = required(name, "shares of rows", inputs, 1);
    const across = required(name, "shares of columns", inputs, 2);
    const [count, batch, , , channels] = tiles.shape as [number, number, number, number, number];
    if (tiles.shape.length !== 5 || count !== rows * columns)
      throw shapeError(name, "tiles", `[${rows} x ${columns}, B, h, w, C]`, tiles.shape);
    expectShape(name, "shares of rows", down, [rows, down.shape.at(-1)!]);
    expectShape(name, "shares of columns", across, [columns, across.shape.at(-1)!]);
    for (const input of inputs) expectDtype(name, "every operand", input, "f32");
    return { shape: [batch, down.shape[1]!, across.shape[1]!, channels], dtype: "f32" };
  },

  reference([tiles, down, across], output, { rows, columns }) {
    const [, batch, h, w, channels] = tiles!.shape as [number, number, number, number, number];
    const [, height, width] = output.shape as [number, number, number];
    const whole = new Float64Array(sizeOf(output));
    tiles!.data.forEach((value, i) => {
      const [channel, x, y] = [i % channels, Math.floor(i / channels) % w, Math.floor(i / channels / w) % h];
      const [sample, tile] = [Math.floor(i / channels / w / h) % batch, Math.floor(i / channels / w / h / batch)];
      const [row, column] = [Math.floor(tile / columns), tile % columns];
      const [top, left] = [y + tileStart(height, h, rows, row), x + tileStart(width, w, columns, column)];
      const share = down!.data[row * height + top]! * across!.data[column * width + left]!;
      whole[((sample * height + top) * width + left) * channels + channel]! += share * value;
    });
    return whole;
  },

  variants: [
    {
      name: `${name}.simple`,
      suits: "any",
      launch([tiles], output, { rows, columns }) {
        const [, batch, h, w] = tiles!.shape as [number, number, number, number];
        const [, height, width, channels] = output.shape as [number, number, number, number];
        return {
          kernel: {
            name: `${name}.simple`,
            code: simple,
            bindings: ["read", "read", "read", "write"],
            parameters: ["ROWS", "COLUMNS", "BATCH", "TILE_H", "TILE_W", "H", "W", "C"],
          },
          workgroups: grid1d(sizeOf(output), 64),
          parameters: [rows, columns, batch, h, w, height, width, channels],
        };
      },
    },
  ],
};
