// Pictures into an app's textures, without a detour over the CPU.
import { ReimagenError } from "../errors.ts";
import type { BufferRange } from "../graph/executor.ts";

/** Formats whose bytes are a picture's. */
export type PictureFormat = "rgba8unorm" | "rgba8unorm-srgb";

/** What can be looked at: x itself (noise at first), or the model's present estimate of the finished picture. Transparent before the first step. */
export type Shown = "picture" | "estimate";

/** Where in a texture a picture goes, and which. */
export interface TextureCopy {
  /** Default `picture`. */
  readonly what?: Shown;
  /** Which of the pictures drawn at once. Default 0. */
  readonly index?: number;
  /** Left and top in texels. Default 0, 0. */
  readonly origin?: { readonly x: number; readonly y: number };
}

/** A texture to be made. */
export interface TextureOptions extends Omit<TextureCopy, "origin"> {
  /** For the caller's use; `COPY_DST` is added. */
  readonly usage: GPUTextureUsageFlags;
  /** Default `rgba8unorm`; with `-srgb` shaders load linear light. */
  readonly format?: PictureFormat;
  readonly label?: string;
}

const formats: readonly string[] = ["rgba8unorm", "rgba8unorm-srgb"] satisfies PictureFormat[];

/** Rows of a copy of more than one row must lie so far apart in the buffer. */
const rowAlignment = 256;

/** Which of several pictures of one size. */
export interface PicturePlace {
  readonly index: number;
  readonly width: number;
  readonly height: number;
}

/**
 * Encodes the copy of one of several pictures (RGBA8, one after the other) to `origin` in a texture. Throws
 * `argument` for a texture of another format, without `COPY_DST`, or too small.
 */
export function copyToTexture(
  encoder: GPUCommandEncoder,
  { buffer, offset }: BufferRange,
  { index, width, height }: PicturePlace,
  texture: GPUTexture,
  { x, y }: { readonly x: number; readonly y: number } = { x: 0, y: 0 },
): void {
  if (!formats.includes(texture.format))
    throw new ReimagenError("argument", `the texture should be ${formats.join(" or ")}, got ${texture.format}`);
  if (!(texture.usage & GPUTextureUsage.COPY_DST))
    throw new ReimagenError("argument", "the texture should have the usage COPY_DST, and has not");
  if (x + width > texture.width || y + height > texture.height)
    throw new ReimagenError(
      "argument",
      `a picture of ${width}x${height} at (${x}, ${y}) does not fit the texture's ${texture.width}x${texture.height}`,
    );
  const bytesPerRow = width * 4;
  const first = offset + index * height * bytesPerRow;
  const rowsAtOnce = bytesPerRow % rowAlignment === 0 ? height : 1;
  for (let row = 0; row < height; row += rowsAtOnce)
    encoder.copyBufferToTexture(
      { buffer, offset: first + row * bytesPerRow, ...(rowsAtOnce > 1 && { bytesPerRow }) },
      { texture, origin: [x, y + row] },
      [width, rowsAtOnce],
    );
}
