// Neighbour pictures from wherever an app has them, brought to the model's size on the GPU.
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { parameterBytes } from "../gpu/kernel.ts";
import type { BufferRange } from "../graph/executor.ts";
import type { Picture } from "../io/picture.ts";
import { fitPicture } from "../ops/fit_picture.ts";

/**
 * A picture in any form and of any size: pixels, a texture of the engine's device (2D, `TEXTURE_BINDING`, straight alpha), or what a
 * browser can draw (ImageBitmap, ImageData, canvas, image or video element, VideoFrame).
 */
export type NeighborImage = Picture | GPUTexture | GPUCopyExternalImageSource;

/** A picture that shows the model what something looks like, with a caption that says what it is. */
export interface NeighborPicture {
  /** Fitted whole into the model's square, on white. */
  readonly picture: NeighborImage;
  readonly caption: string;
}

/** Most neighbours of one request (Chen et al. 2022 use up to 3). */
export const MAX_NEIGHBORS = 8;

/** Formats whose texels are colours of 0 to 1. */
const colorFormat = /^(rgba|bgra)8unorm(-srgb)?$|^rgba(16|32)float$|^rgb10a2unorm$/;

/**
 * Throws `picture`, naming the neighbour, for one without pixels, with too few, or a texture of a format or usage that cannot be read, and
 * `limit` for one larger than the device's textures.
 */
export function checkNeighbors(gpu: Gpu, images: readonly NeighborImage[]): void {
  images.forEach((image, i) => {
    check(gpu, `neighbour ${i + 1}`, image);
  });
}

/** Writes the pictures, which have been checked, into `target` [images, side, side, 3]. Throws `picture` for what the device cannot read, as a texture of another device. */
export async function uploadNeighbors(
  gpu: Gpu,
  images: readonly NeighborImage[],
  target: BufferRange,
  side: number,
): Promise<void> {
  for (const [i, image] of images.entries()) await upload(gpu, image, i, target, side);
}

async function upload(gpu: Gpu, image: NeighborImage, index: number, target: BufferRange, side: number): Promise<void> {
  const name = `neighbour ${index + 1}`;
  const { width, height } = sizeOf(image);
  const linear = isTexture(image) && image.format.endsWith("-srgb");
  const { kernel, parameters, workgroups } = fitPicture({ width, height, side }, index, linear);
  const { pipeline, layout } = await gpu.compile(kernel);
  const { device } = gpu;
  const uniform = gpu.allocate(
    "picture size",
    parameterBytes(kernel),
    GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
  );
  let own: GPUTexture | undefined;
  try {
    await gpu.guarded(
      () => {
        if (!isTexture(image)) own = textureOf(device, image, width, height);
        const texture = own ?? (image as GPUTexture);
        device.queue.writeBuffer(uniform, 0, Uint32Array.from(parameters!));
        const entries = [texture.createView({ dimension: "2d", mipLevelCount: 1 }), target, { buffer: uniform }].map(
          (resource, binding) => ({ binding, resource }),
        );
        const encoder = device.createCommandEncoder({ label: name });
        const pass = encoder.beginComputePass({ label: name });
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, device.createBindGroup({ label: name, layout, entries }));
        pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
        pass.end();
        device.queue.submit([encoder.finish()]);
      },
      ({ message }) => new ReimagenError("picture", `${name} cannot be read by the engine's device: ${message}`),
    );
  } catch (cause) {
    if (cause instanceof ReimagenError) throw cause;
    throw new ReimagenError("picture", `${name} cannot be read: ${(cause as Error).message}`, { cause });
  } finally {
    gpu.release(uniform);
    own?.destroy();
  }
}

function check(gpu: Gpu, name: string, image: NeighborImage): void {
  const { width, height } = sizeOf(image);
  if (!(width > 0 && height > 0))
    throw new ReimagenError("picture", `${name} is a picture without pixels (${width}x${height})`);
  const most = gpu.device.limits.maxTextureDimension2D;
  if (Math.max(width, height) > most)
    throw new ReimagenError(
      "limit",
      `${name} has ${width}x${height} pixels, and the device's textures at most ${most}`,
    );
  if (isPicture(image) && image.pixels.length !== width * height * 4)
    throw new ReimagenError(
      "picture",
      `${name} should have ${width * height * 4} bytes for ${width}x${height} pixels, got ${image.pixels.length}`,
    );
  if (!isTexture(image)) return;
  if (!(image.usage & GPUTextureUsage.TEXTURE_BINDING))
    throw new ReimagenError("picture", `${name} is a texture without the usage TEXTURE_BINDING`);
  if (image.dimension !== "2d" || image.sampleCount !== 1 || !colorFormat.test(image.format))
    throw new ReimagenError(
      "picture",
      `${name} should be a 2d colour texture of one sample (such as rgba8unorm), got ${image.dimension}, ${image.sampleCount} samples, ${image.format}`,
    );
}

function textureOf(
  device: GPUDevice,
  image: Picture | GPUCopyExternalImageSource,
  width: number,
  height: number,
): GPUTexture {
  const { TEXTURE_BINDING, COPY_DST, RENDER_ATTACHMENT } = GPUTextureUsage;
  const external = !isPicture(image);
  const texture = device.createTexture({
    label: "neighbour",
    size: [width, height],
    format: "rgba8unorm",
    usage: TEXTURE_BINDING | COPY_DST | (external ? RENDER_ATTACHMENT : 0),
  });
  if (external) device.queue.copyExternalImageToTexture({ source: image }, { texture }, [width, height]);
  else
    device.queue.writeTexture({ texture }, image.pixels as Uint8Array<ArrayBuffer>, { bytesPerRow: width * 4 }, [
      width,
      height,
    ]);
  return texture;
}

/** Whether it is pixels in memory. */
export function isPicture(image: NeighborImage): image is Picture {
  return "pixels" in image;
}

function isTexture(image: NeighborImage): image is GPUTexture {
  return "createView" in image;
}

// Each source has its own name for how many pixels it really has.
function sizeOf(image: NeighborImage): { width: number; height: number } {
  if ("naturalWidth" in image) return { width: image.naturalWidth, height: image.naturalHeight };
  if ("videoWidth" in image) return { width: image.videoWidth, height: image.videoHeight };
  if ("displayWidth" in image) return { width: image.displayWidth, height: image.displayHeight };
  return { width: image.width, height: image.height };
}
