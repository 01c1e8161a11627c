// Resizing by nearest neighbour (the U-Net's upsampling) or bilinearly (between the stages of a cascade).
import sample from "../../kernels/resize.sample.wgsl";
import simple from "../../kernels/resize.simple.wgsl";
import vec4 from "../../kernels/resize.vec4.wgsl";
import { ReimagenError } from "../errors.ts";
import { grid1d, type Launch, type Op, required, shapeError, sizeOf, storageOf, type TensorType } from "./op.ts";
import { expectDtype, unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of `resize`. */
export interface ResizeAttributes {
  /** Of the result, in pixels. */
  readonly height: number;
  /** Of the result, in pixels. */
  readonly width: number;
  readonly mode: "nearest" | "bilinear" | "bilinear-corners";
}

type Extents = readonly [batch: number, height: number, width: number, channels: number];

/**
 * Input: x [B, H, W, C]. Output: [B, height, width, C]. As PyTorch's `F.interpolate` without `align_corners` and `antialias`:
 * nearest takes row floor(i H / height), in exact arithmetic; bilinear mixes about (i + 1/2) H / height - 1/2, clamped to the picture;
 * bilinear-corners, which is `align_corners`, about i (H - 1) / (height - 1).
 */
export const resize: Op<ResizeAttributes> = {
  name: "resize",

  infer(inputs, { height, width }) {
    const x = required("resize", "x", inputs, 0);
    if (x.shape.length !== 4) throw shapeError("resize", "x", "[B, H, W, C]", x.shape);
    expectDtype("resize", "x", x, "f32", "f16");
    // The kernels' whole-number positions are products of two extents.
    if (![height, width].every((extent) => Number.isInteger(extent) && extent >= 1 && extent <= 32768))
      throw new ReimagenError(
        "argument",
        `resize: height and width must be integers from 1 to 32768, got ${height} and ${width}`,
      );
    return { shape: [x.shape[0]!, height, width, x.shape[3]!], dtype: x.dtype };
  },

  reference([x], output, { mode }) {
    const [, h, w, channels] = x!.shape as Extents;
    const [, height, width] = output.shape as Extents;
    const value = (b: number, row: number, column: number, channel: number) =>
      x!.data[((b * h + row) * w + column) * channels + channel]!;
    const y = new Float64Array(sizeOf(output));
    for (let i = 0; i < y.length; i++) {
      const channel = i % channels;
      const column = Math.floor(i / channels) % width;
      const row = Math.floor(i / channels / width) % height;
      const b = Math.floor(i / channels / width / height);
      if (mode === "nearest") {
        y[i] = value(b, Math.floor((row * h) / height), Math.floor((column * w) / width), channel);
        continue;
      }
      const place = mode === "bilinear" ? fromCentres : fromCorners;
      const top = place(row, h, height);
      const left = place(column, w, width);
      for (const [r, rowShare] of neighbours(top, h))
        for (const [c, columnShare] of neighbours(left, w)) y[i]! += rowShare * columnShare * value(b, r, c, channel);
    }
    return y;
  },

  variants: [
    {
      name: "resize.vec4",
      suits: "any",
      unfit: (_, [x]) => unfitForVec4(x),
      launch: ([x], output, { mode }) => ({
        kernel: specialise("vec4", vec4, x!, output, mode),
        workgroups: grid1d(sizeOf(output) / 4, 64),
      }),
    },
    {
      name: "resize.simple",
      suits: "any",
      unfit: (_, [x]) => unfitForScalar(x),
      launch: ([x], output, { mode }) => ({
        kernel: specialise("simple", simple, x!, output, mode),
        workgroups: grid1d(sizeOf(output), 64),
      }),
    },
  ],
};

function fromCentres(at: number, source: number, target: number): number {
  return Math.max(0, ((at + 0.5) * source) / target - 0.5);
}

function fromCorners(at: number, source: number, target: number): number {
  return target > 1 ? (at * (source - 1)) / (target - 1) : 0;
}

function neighbours(position: number, extent: number): [index: number, share: number][] {
  const first = Math.floor(position);
  const share = position - first;
  return [
    [first, 1 - share],
    [Math.min(first + 1, extent - 1), share],
  ];
}

function specialise(
  variant: string,
  code: string,
  x: TensorType,
  output: TensorType,
  mode: ResizeAttributes["mode"],
): Launch["kernel"] {
  const [, h, w, channels] = x.shape as Extents;
  return {
    name: `resize.${variant}`,
    code: sample + code,
    bindings: ["read", "write"],
    storage: { x: storageOf(x), y: storageOf(output) },
    constants: {
      IN_H: h,
      IN_W: w,
      OUT_H: output.shape[1]!,
      OUT_W: output.shape[2]!,
      C: channels,
      C4: Math.floor(channels / 4),
      BILINEAR: mode !== "nearest",
      CORNERS: mode === "bilinear-corners",
    },
  };
}
