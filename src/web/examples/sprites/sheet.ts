// The sprite sheet: on the screen straight from the GPU, and as files when its pictures are finished.
import type { Generation, Picture } from "../../../index.ts";

const columns = 4;

/** A cell of the sheet. */
export interface Sprite {
  /** As in "in the snow". */
  readonly scene: string;
  readonly prompt: string;
}

/** A sheet on a canvas. */
export interface Sheet {
  /** Shows a cell as its generation stands; nothing is read back. */
  show(cell: number, generation: Generation): void;
  /** Takes a finished picture. */
  keep(cell: number, picture: Picture): void;
  /** The sheet as a PNG, and where on it which sprite is (the frame table that game engines read). */
  files(sprites: readonly Sprite[]): Promise<{ png: Blob; json: Blob }>;
}

/** A sheet of `cells` pictures of `side` pixels, four in a row, on a canvas that belongs to `device`. */
export function createSheet(device: GPUDevice, canvas: HTMLCanvasElement, cells: number, side: number): Sheet {
  const [width, height] = [columns * side, Math.ceil(cells / columns) * side];
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("webgpu")!;
  const format = "rgba8unorm";
  context.configure({ device, format, usage: GPUTextureUsage.COPY_DST, alphaMode: "premultiplied" });
  // A canvas is blank in every frame, so that the sheet lives in a texture of its own.
  const usage = GPUTextureUsage.COPY_DST | GPUTextureUsage.COPY_SRC;
  const sheet = device.createTexture({ label: "sprite sheet", size: [width, height], format, usage });
  const finished = new OffscreenCanvas(width, height);
  const pixels = finished.getContext("2d")!;
  const origin = (cell: number) => ({ x: (cell % columns) * side, y: Math.floor(cell / columns) * side });

  return {
    show(cell, generation) {
      const encoder = device.createCommandEncoder();
      generation.copyToTexture(encoder, sheet, { what: "estimate", origin: origin(cell) });
      encoder.copyTextureToTexture({ texture: sheet }, { texture: context.getCurrentTexture() }, [width, height]);
      device.queue.submit([encoder.finish()]);
    },
    keep(cell, picture) {
      const { x, y } = origin(cell);
      pixels.putImageData(new ImageData(new Uint8ClampedArray(picture.pixels), picture.width), x, y);
    },
    async files(sprites) {
      const frames = sprites.map(({ scene, prompt }, cell) => {
        const frame = { ...origin(cell), w: side, h: side };
        return [scene.replaceAll(" ", "-"), { frame, sourceSize: { w: side, h: side }, prompt }];
      });
      const meta = {
        app: "reimagen",
        image: "sprites.png",
        format: "RGBA8888",
        size: { w: width, h: height },
        scale: "1",
      };
      const table = JSON.stringify({ frames: Object.fromEntries(frames), meta }, undefined, 2);
      return { png: await finished.convertToBlob(), json: new Blob([table], { type: "application/json" }) };
    },
  };
}
