// Tiles on sheets: how a database folder keeps its pictures.
import sharp from "sharp";
import type { Picture } from "../../io/picture.ts";
import { digestOf } from "./pictures.ts";

/** Greatest side of a sheet, in pixels: decoded it takes 16 MB. */
const sheetSide = 2048;
const mostColumns = 32;

/** How tiles of a size lie on sheets. */
export interface SheetLayout {
  readonly size: number;
  readonly columns: number;
  /** Tiles on a full sheet. */
  readonly tiles: number;
}

/** The layout of tiles of `size` pixels. */
export function sheetLayout(size: number): SheetLayout {
  const columns = Math.max(1, Math.min(mostColumns, Math.floor(sheetSide / size)));
  return { size, columns, tiles: columns * columns };
}

/** A sheet's file name, by what is on it: another name means other pixels. */
export function sheetName({ size, columns }: SheetLayout, digests: readonly string[]): string {
  return `sheet-${digestOf([size, columns, ...digests].join("\n")).slice(0, 12)}.webp`;
}

/** Tiles in rows as one lossless WebP, alpha and all; clear pixels are black, which packs better. */
export async function encodeSheet({ size, columns }: SheetLayout, tiles: readonly Picture[]): Promise<Uint8Array> {
  const [width, height] = [columns * size, Math.ceil(tiles.length / columns) * size];
  const sheet = new Uint8Array(width * height * 4);
  tiles.forEach(({ pixels }, tile) => {
    const [left, top] = [(tile % columns) * size, Math.floor(tile / columns) * size];
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++) {
        const from = (y * size + x) * 4;
        if (pixels[from + 3] === 0) continue;
        sheet.set(pixels.subarray(from, from + 4), ((top + y) * width + left + x) * 4);
      }
  });
  return sharp(sheet, { raw: { width, height, channels: 4 } })
    .webp({ lossless: true, exact: true, effort: 4 })
    .toBuffer();
}
