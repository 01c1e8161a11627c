// A picture of any size as the model takes it: fitted whole into a square, on white.
import tent from "../../kernels/fit_picture.tent.wgsl";
import type { Kernel } from "../gpu/kernel.ts";
import type { Launch } from "./op.ts";

/** A picture's size in pixels, and the square it goes into. */
export interface Fit {
  readonly width: number;
  readonly height: number;
  /** Side of the square. */
  readonly side: number;
}

/** How large the picture is within the square, its proportions kept; never less than a pixel. */
export function fittedSize({ width, height, side }: Fit): { width: number; height: number } {
  const scale = side / Math.max(width, height);
  return { width: Math.max(1, Math.round(width * scale)), height: Math.max(1, Math.round(height * scale)) };
}

/**
 * The definition, in f64: `texel(x, y)` gives red, green, blue, alpha in [0, 1], straight and sRGB-encoded; result [side, side, 3] in [-1, 1].
 * Each pixel is the mean of the texels on white under a tent as wide as the pixel is in the picture, and at least one texel.
 */
export function fitPictureReference(fit: Fit, texel: (x: number, y: number) => readonly number[]): Float64Array {
  const { side } = fit;
  const inner = fittedSize(fit);
  const taps = (size: number, count: number, at: number) => {
    const scale = size / count;
    const radius = Math.max(scale, 1);
    const center = (at + 0.5) * scale;
    const weights = Array.from({ length: size }, (_, i) => Math.max(0, 1 - Math.abs(i + 0.5 - center) / radius));
    const sum = weights.reduce((total, weight) => total + weight, 0);
    return weights.flatMap((weight, i) => (weight > 0 ? [[i, weight / sum] as const] : []));
  };
  const [left, top] = [Math.floor((side - inner.width) / 2), Math.floor((side - inner.height) / 2)];
  const result = new Float64Array(side * side * 3).fill(1);
  for (let y = 0; y < inner.height; y++)
    for (let x = 0; x < inner.width; x++)
      for (let channel = 0; channel < 3; channel++) {
        let mean = 0;
        for (const [row, vertical] of taps(fit.height, inner.height, y))
          for (const [column, horizontal] of taps(fit.width, inner.width, x)) {
            const color = texel(column, row);
            mean += vertical * horizontal * (color[channel]! * color[3]! + 1 - color[3]!);
          }
        result[((y + top) * side + x + left) * 3 + channel] = 2 * mean - 1;
      }
  return result;
}

/** The kernel of `fitPicture`, whatever the picture. */
export const fitPictureKernel: Kernel = {
  name: "fit_picture.tent",
  code: tent,
  bindings: ["texture", "write"],
  parameters: ["SIDE", "WIDTH", "HEIGHT", "FIT_WIDTH", "FIT_HEIGHT", "IMAGE", "LINEAR"],
};

/** Writes a texture into picture `image` of y [images, side, side, 3]; `linear` where loads decode sRGB. Bindings: the texture, y. */
export function fitPicture(fit: Fit, image: number, linear: boolean): Launch {
  const inner = fittedSize(fit);
  return {
    kernel: fitPictureKernel,
    parameters: [fit.side, fit.width, fit.height, inner.width, inner.height, image, Number(linear)],
    workgroups: [Math.ceil(fit.side / 8), Math.ceil(fit.side / 8), 1],
  };
}
