// Reading picture files of any usual format in Node, through sharp.

import { readFile } from "node:fs/promises";
import sharp from "sharp";
import { ReimagenError } from "../errors.ts";
import type { Picture } from "../io/picture.ts";

/**
 * Reads a PNG, JPEG, WebP, AVIF, GIF, TIFF or SVG file, turned upright as its EXIF tag says; of an animation, the first frame.
 * With `side`, the whole picture is scaled to fit a square of that many pixels, transparent where it does not reach. Errors: picture.
 */
export async function readPicture(path: string, side?: number): Promise<Picture> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (cause) {
    throw new ReimagenError("picture", `${path} cannot be read: ${reason(cause)}`, { cause });
  }
  try {
    const upright = sharp(bytes).autoOrient().toColourspace("srgb").ensureAlpha();
    const background = { r: 0, g: 0, b: 0, alpha: 0 };
    const sized = side === undefined ? upright : upright.resize(side, side, { fit: "contain", background });
    const { data, info } = await sized.raw({ depth: "uchar" }).toBuffer({ resolveWithObject: true });
    return { width: info.width, height: info.height, pixels: new Uint8ClampedArray(data) };
  } catch (cause) {
    throw new ReimagenError("picture", `${path} is not a picture that can be decoded: ${reason(cause)}`, { cause });
  }
}

/** The picture on a square of another side; itself where that is its own. */
export async function resized(picture: Picture, side: number): Promise<Picture> {
  const { width, height, pixels } = picture;
  if (width === side && height === side) return picture;
  const data = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .resize(side, side)
    .raw()
    .toBuffer();
  return { width: side, height: side, pixels: new Uint8ClampedArray(data) };
}

function reason(cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  const code = "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "there is no such file";
  if (code === "EISDIR") return "it is a folder";
  return cause.message;
}
