// Pictures that the user brings, and tiles of any picture as the model sees it: whole, on white, in a square.
import { type Picture, ReimagenError } from "../../index.ts";

/** Longest side that is kept of a picture, in pixels: photographs are far larger than any model's square. */
const largestSide = 1024;

/** Decodes a picture file, turned upright, of moderate size. Errors: picture. */
export async function decodePicture(name: string, file: Blob): Promise<ImageBitmap> {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = largestSide / Math.max(bitmap.width, bitmap.height);
    if (scale >= 1) return bitmap;
    const side = (length: number) => Math.max(1, Math.round(length * scale));
    const resized = {
      resizeWidth: side(bitmap.width),
      resizeHeight: side(bitmap.height),
      resizeQuality: "high",
    } as const;
    return await createImageBitmap(bitmap, resized);
  } catch (cause) {
    throw new ReimagenError("picture", `${name} is not a picture that this browser can decode`, { cause });
  }
}

/** A picture of a database, as the browser draws it. */
export function bitmapOf({ width, height, pixels }: Picture): Promise<ImageBitmap> {
  return createImageBitmap(new ImageData(new Uint8ClampedArray(pixels), width, height));
}

/** The whole picture in a white square of `side` pixels. */
export function tileOf(bitmap: ImageBitmap, side: number): Picture {
  const canvas = globalThis.OffscreenCanvas
    ? new OffscreenCanvas(side, side)
    : Object.assign(document.createElement("canvas"), { width: side, height: side });
  const context = canvas.getContext("2d", { willReadFrequently: true }) as
    | OffscreenCanvasRenderingContext2D
    | CanvasRenderingContext2D;
  const scale = side / Math.max(bitmap.width, bitmap.height);
  const [width, height] = [bitmap.width * scale, bitmap.height * scale];
  context.fillStyle = "#fff";
  context.fillRect(0, 0, side, side);
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, (side - width) / 2, (side - height) / 2, width, height);
  return { width: side, height: side, pixels: context.getImageData(0, 0, side, side).data };
}
