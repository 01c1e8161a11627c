// The studio's canvases: pictures go from the engine's buffers into their textures and are never read back.
import type { Generation, Picture, Shown } from "../../index.ts";

/** A canvas of the page, here or handed over by it. */
export type StudioCanvas = OffscreenCanvas | HTMLCanvasElement;

/** A canvas that shows one picture. */
export interface Screen {
  /** Makes it a canvas of this device, as at first and after a loss. */
  configure(device: GPUDevice): void;
  show(encoder: GPUCommandEncoder, generation: Generation, what: Shown): void;
  /** Shows pixels, as after a loss. */
  paint(picture: Picture): void;
}

/** Tiles on one canvas, which keeps what it was given. */
export interface Mosaic {
  configure(device: GPUDevice): void;
  /** Starts anew, with room for so many tiles. */
  clear(tiles: number): void;
  /** Puts pixels on a tile. */
  paint(tile: number, picture: Picture): void;
  copy(encoder: GPUCommandEncoder, tile: number, generation: Generation, what: Shown): void;
  /** Shows all tiles. */
  show(encoder: GPUCommandEncoder): void;
  /** All tiles as one picture, which then outlives its device; no tile changes any more until `clear`. */
  read(): Promise<Picture>;
}

/** A screen of pictures of `size` pixels a side. */
export function createScreen(canvas: StudioCanvas, size: number): Screen {
  Object.assign(canvas, { width: size, height: size });
  const context = contextOf(canvas);
  let device: GPUDevice;
  return {
    configure(next) {
      device = next;
      configure(context, device);
    },
    show: (encoder, generation, what) => generation.copyToTexture(encoder, context.getCurrentTexture(), { what }),
    paint: (picture) => write(device, context.getCurrentTexture(), { x: 0, y: 0 }, picture),
  };
}

/** A mosaic of pictures of `size` pixels a side in rows of `columns`, `gap` transparent pixels apart. */
export function createMosaic(canvas: StudioCanvas, size: number, columns: number, gap: number): Mosaic {
  const context = contextOf(canvas);
  const pitch = size + gap;
  const painted = new Map<number, Picture>();
  /** All tiles, once they were read. */
  let whole: Picture | undefined;
  let device: GPUDevice;
  // A canvas forgets its texture once it is shown.
  let texture: GPUTexture | undefined;
  let rows = 0;

  const place = (tile: number) => ({ x: (tile % columns) * pitch, y: Math.floor(tile / columns) * pitch });

  function create(): void {
    texture?.destroy();
    texture = undefined;
    if (rows === 0) return;
    Object.assign(canvas, { width: columns * pitch - gap, height: rows * pitch - gap });
    texture = device.createTexture({
      label: "mosaic",
      size: [canvas.width, canvas.height],
      format: "rgba8unorm",
      usage: GPUTextureUsage.COPY_DST | GPUTextureUsage.COPY_SRC,
    });
  }

  function paint(tile: number, picture: Picture): void {
    painted.set(tile, picture);
    if (texture) write(device, texture, place(tile), picture);
  }

  return {
    paint,
    configure(next) {
      device = next;
      configure(context, device);
      create();
      for (const [tile, picture] of painted) paint(tile, picture);
      if (texture && whole) write(device, texture, { x: 0, y: 0 }, whole);
    },
    clear(tiles) {
      painted.clear();
      whole = undefined;
      rows = Math.ceil(tiles / columns);
      create();
    },
    copy(encoder, tile, generation, what) {
      if (texture) generation.copyToTexture(encoder, texture, { what, origin: place(tile) });
    },
    show(encoder) {
      if (!texture) return;
      encoder.copyTextureToTexture({ texture }, { texture: context.getCurrentTexture() }, [
        texture.width,
        texture.height,
      ]);
    },
    async read() {
      whole ??= await readTexture(device, texture!);
      return whole;
    },
  };
}

function contextOf(canvas: StudioCanvas): GPUCanvasContext {
  return canvas.getContext("webgpu") as GPUCanvasContext;
}

function configure(context: GPUCanvasContext, device: GPUDevice): void {
  context.configure({ device, format: "rgba8unorm", usage: GPUTextureUsage.COPY_DST, alphaMode: "premultiplied" });
}

function write(
  device: GPUDevice,
  texture: GPUTexture,
  origin: GPUOrigin2DDict,
  { width, height, pixels }: Picture,
): void {
  const bytes = pixels as Uint8ClampedArray<ArrayBuffer>;
  device.queue.writeTexture({ texture, origin }, bytes, { bytesPerRow: width * 4 }, [width, height]);
}

async function readTexture(device: GPUDevice, texture: GPUTexture): Promise<Picture> {
  const { width, height } = texture;
  const bytesPerRow = Math.ceil((width * 4) / 256) * 256;
  const usage = GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ;
  const buffer = device.createBuffer({ label: "mosaic", size: bytesPerRow * height, usage });
  const encoder = device.createCommandEncoder({ label: "mosaic" });
  encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow }, [width, height]);
  device.queue.submit([encoder.finish()]);
  await buffer.mapAsync(GPUMapMode.READ);
  const padded = new Uint8Array(buffer.getMappedRange());
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let row = 0; row < height; row++)
    pixels.set(padded.subarray(row * bytesPerRow, row * bytesPerRow + width * 4), row * width * 4);
  buffer.destroy();
  return { width, height, pixels };
}
