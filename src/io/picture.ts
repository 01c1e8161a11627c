// Pictures as plain pixels, and as the numbers that a model takes.

import { ReimagenError } from "../errors.ts";

/** Pixels in rows from the top left: 8-bit sRGB with straight (not premultiplied) alpha, width * height * 4 bytes. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8ClampedArray | Uint8Array;
}

/** The picture on a white ground as a model takes it: NHWC [1, height, width, 3] in [-1, 1]. */
export function onWhite({ width, height, pixels }: Picture): Float32Array {
  const values = new Float32Array(width * height * 3);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const alpha = pixels[pixel * 4 + 3] / 255;
    for (let channel = 0; channel < 3; channel++) {
      const color = pixels[pixel * 4 + channel] * alpha + 255 * (1 - alpha);
      values[pixel * 3 + channel] = color / 127.5 - 1;
    }
  }
  return values;
}

/** The `width` x `height` pixels from (x, y), copied. Errors: argument (outside the picture). */
export function crop(picture: Picture, x: number, y: number, width: number, height: number): Picture {
  const whole = [x, y, width, height].every((value) => Number.isInteger(value) && value >= 0);
  if (!whole || width === 0 || height === 0 || x + width > picture.width || y + height > picture.height) {
    throw new ReimagenError(
      "argument",
      `a crop of ${width}x${height} at (${x}, ${y}) lies outside a picture of ${picture.width}x${picture.height}`,
    );
  }
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let row = 0; row < height; row++) {
    const start = ((y + row) * picture.width + x) * 4;
    pixels.set(picture.pixels.subarray(start, start + width * 4), row * width * 4);
  }
  return { width, height, pixels };
}

/** Pictures from RGBA8 words, [N, height, width]. */
export function picturesOf(
  words: Uint32Array<ArrayBuffer> | Float32Array<ArrayBuffer>,
  { width, height }: { readonly width: number; readonly height: number },
): Picture[] {
  const bytes = width * height * 4;
  return Array.from({ length: words.byteLength / bytes }, (_, i) => ({
    width,
    height,
    pixels: new Uint8ClampedArray(words.buffer, words.byteOffset + i * bytes, bytes),
  }));
}
