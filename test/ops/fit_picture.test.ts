// Pictures of any size in every form that an app may have them in, against the f64 definition.
import { describe, expect, it } from "vitest";
import { type NeighborImage, uploadNeighbors } from "../../src/diffusion/neighbors.ts";
import { onWhite, type Picture } from "../../src/io/picture.ts";
import { fitPictureReference } from "../../src/ops/fit_picture.ts";
import { inNode, testGpu } from "../gpu.ts";
import { Random, relativeError } from "./harness.ts";

const { TEXTURE_BINDING, COPY_DST } = { TEXTURE_BINDING: 4, COPY_DST: 2 };

function pictureOf(random: Random, width: number, height: number): Picture {
  return { width, height, pixels: Uint8Array.from({ length: width * height * 4 }, () => random.int(0, 255)) };
}

/** What the device makes of the images, each [side, side, 3]. */
async function fitted(images: readonly NeighborImage[], side: number): Promise<Float32Array[]> {
  const gpu = await testGpu();
  const size = side * side * 3 * 4;
  const buffer = gpu.allocate("pictures", images.length * size, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  await uploadNeighbors(gpu, images, { buffer, offset: 0, size: images.length * size }, side);
  const values = new Float32Array(await gpu.read(buffer, 0, images.length * size));
  gpu.release(buffer);
  return images.map((_, i) => values.slice((i * size) / 4, ((i + 1) * size) / 4));
}

function expected({ width, height, pixels }: Picture, side: number): Float64Array {
  const texel = (x: number, y: number) => [...pixels.subarray((y * width + x) * 4, (y * width + x) * 4 + 4)];
  return fitPictureReference({ width, height, side }, (x, y) => texel(x, y).map((byte) => byte / 255));
}

/** The picture as a texture; in linear light its bytes mean the same colours. */
async function textureOf({ width, height, pixels }: Picture, format: GPUTextureFormat): Promise<GPUTexture> {
  const { device } = await testGpu();
  const texture = device.createTexture({ size: [width, height], format, usage: TEXTURE_BINDING | COPY_DST });
  const bytes = new Uint8Array(pixels);
  device.queue.writeTexture({ texture }, bytes, { bytesPerRow: width * 4 }, [width, height]);
  return texture;
}

describe("a neighbour picture", () => {
  it("of the model's size is taken over texel by texel", async () => {
    const picture = pictureOf(new Random(1), 16, 16);
    const [values] = await fitted([picture], 16);
    expect(relativeError(values!, onWhite(picture))).toBeLessThan(1e-6);
  });

  it("of another size is fitted whole, on white, as the definition says, at 50 random sizes", async () => {
    const random = new Random(2);
    const pictures = Array.from({ length: 50 }, () => pictureOf(random, random.int(1, 70), random.int(1, 70)));
    for (const side of [16, 20]) {
      const got = await fitted(pictures, side);
      pictures.forEach((picture, i) => {
        const error = relativeError(got[i]!, expected(picture, side));
        expect(error, `${picture.width}x${picture.height} to ${side}`).toBeLessThan(1e-5);
      });
    }
  });

  it("is the same from an app's texture, also from one whose loads decode sRGB", async () => {
    const picture = pictureOf(new Random(3), 21, 40);
    const textures = [await textureOf(picture, "rgba8unorm"), await textureOf(picture, "rgba8unorm-srgb")];
    for (const values of await fitted(textures, 16)) {
      // The hardware's sRGB decoding may be a little off.
      values.forEach((value, i) => {
        expect(Math.abs(value - expected(picture, 16)[i]!)).toBeLessThan(3e-3);
      });
    }
    for (const texture of textures) texture.destroy();
  });

  it.skipIf(inNode)("is the same from what a browser can draw", async () => {
    const picture = pictureOf(new Random(4), 30, 20);
    // A canvas keeps colours premultiplied, so only opaque pixels come back as they went in.
    const opaque = { ...picture, pixels: new Uint8ClampedArray(picture.pixels.map((v, i) => (i % 4 === 3 ? 255 : v))) };
    const data = new ImageData(opaque.pixels, 30, 20);
    const canvas = new OffscreenCanvas(30, 20);
    canvas.getContext("2d")!.putImageData(data, 0, 0);
    const image = new Image();
    image.src = URL.createObjectURL(await canvas.convertToBlob());
    await image.decode();
    const sources: NeighborImage[] = [data, canvas, await createImageBitmap(data), image];
    for (const values of await fitted(sources, 16))
      expect(relativeError(values, expected(opaque, 16))).toBeLessThan(1e-5);
  });
});
