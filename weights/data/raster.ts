// Turns a drawing into pixels.
import sharp from "sharp";
import type { Drawing } from "./art.ts";

/** Straight-alpha RGBA of `size` x `size` pixels; clear pixels are black. */
export async function rasterise({ source }: Drawing, size: number): Promise<Uint8Array> {
  const input =
    "svg" in source ? Buffer.from(source.svg.replace("SIZE", `width="${size}" height="${size}"`)) : source.file;
  const pixels = await sharp(input)
    .ensureAlpha()
    .resize(size, size, { fit: "contain", background: { r: 0, g: 0, b: 0, alpha: 0 } })
    .raw()
    .toBuffer();
  for (let i = 0; i < pixels.length; i += 4) if (pixels[i + 3] === 0) pixels.fill(0, i, i + 3);
  return pixels;
}

/** Left, top, right and bottom of what can be seen, in pixels, right and bottom exclusive; undefined for an empty picture. */
export function visibleBox(pixels: Uint8Array, size: number): [number, number, number, number] | undefined {
  let [left, top, right, bottom] = [size, size, 0, 0];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      if (pixels[(y * size + x) * 4 + 3] <= faint) continue;
      left = Math.min(left, x);
      top = Math.min(top, y);
      right = Math.max(right, x + 1);
      bottom = Math.max(bottom, y + 1);
    }
  }
  return right > 0 ? [left, top, right, bottom] : undefined;
}

const faint = 16;
