// Blocks of pixels as channels, and back: the stem and the head of a U-Net that works on patches.
import map from "../../kernels/pixel_shuffle.map.wgsl";
import simple from "../../kernels/pixel_shuffle.simple.wgsl";
import vec4 from "../../kernels/pixel_shuffle.vec4.wgsl";
import { ReimagenError } from "../errors.ts";
import {
  grid1d,
  type Launch,
  type Op,
  type Operands,
  type ReferenceTensor,
  required,
  shapeError,
  sizeOf,
  storageOf,
  type TensorType,
  type Variant,
} from "./op.ts";
import { expectDtype, unfitForScalar } from "./operands.ts";

/** Attributes of `pixelShuffle` and `pixelUnshuffle`. */
export interface PixelShuffleAttributes {
  /** Side of a block, in pixels. */
  readonly factor: number;
  /** Storage of the result. When absent that of x, or f32 where the result's last axis is not a multiple of 4. */
  readonly dtype?: "f32" | "f16";
}

type Extents = readonly [batch: number, height: number, width: number, channels: number];

/**
 * Input: x [B, H, W, C], H and W multiples of r = factor. Output: [B, H / r, W / r, C r r]; channel c r r + i r + j holds channel c
 * of the pixel at row i, column j of the block, PyTorch's order.
 */
export const pixelUnshuffle: Op<PixelShuffleAttributes> = {
  name: "pixel_unshuffle",

  infer(inputs, { factor, dtype }) {
    const x = pictureOf("pixel_unshuffle", inputs, factor);
    const [batch, height, width, channels] = x.shape as Extents;
    if (height % factor || width % factor)
      throw shapeError("pixel_unshuffle", "x", `[B, H, W, C] with H and W multiples of ${factor}`, x.shape);
    return typed([batch, height / factor, width / factor, channels * factor ** 2], dtype ?? x.dtype, dtype);
  },

  reference: ([x], output, { factor }) =>
    moved(x!, output, ([b, h, w, channel]) => [
      b,
      h * factor + (Math.floor(channel / factor) % factor),
      w * factor + (channel % factor),
      Math.floor(channel / factor ** 2),
    ]),

  variants: /* @__PURE__ */ variantsOf("pixel_unshuffle", false),
};

/** Input: x [B, H, W, C r r], r = factor. Output: [B, H r, W r, C], the inverse of `pixelUnshuffle`. */
export const pixelShuffle: Op<PixelShuffleAttributes> = {
  name: "pixel_shuffle",

  infer(inputs, { factor, dtype }) {
    const x = pictureOf("pixel_shuffle", inputs, factor);
    const [batch, height, width, channels] = x.shape as Extents;
    if (channels % factor ** 2)
      throw shapeError("pixel_shuffle", "x", `[B, H, W, C] with C a multiple of ${factor ** 2}`, x.shape);
    return typed([batch, height * factor, width * factor, channels / factor ** 2], dtype ?? x.dtype, dtype);
  },

  reference: ([x], output, { factor }) =>
    moved(x!, output, ([b, h, w, c]) => [
      b,
      Math.floor(h / factor),
      Math.floor(w / factor),
      c * factor ** 2 + (h % factor) * factor + (w % factor),
    ]),

  variants: /* @__PURE__ */ variantsOf("pixel_shuffle", true),
};

function pictureOf(op: string, inputs: Operands, factor: number): TensorType {
  const x = required(op, "x", inputs, 0);
  if (x.shape.length !== 4) throw shapeError(op, "x", "[B, H, W, C]", x.shape);
  expectDtype(op, "x", x, "f32", "f16");
  if (!Number.isInteger(factor) || factor < 1)
    throw new ReimagenError("argument", `${op}: factor must be a positive integer, got ${factor}`);
  return x;
}

// A picture of 3 channels cannot be packed halves, whatever it was made from.
function typed(shape: Extents, dtype: TensorType["dtype"], asked: "f32" | "f16" | undefined): TensorType {
  return { shape, dtype: !asked && shape[3] % 4 ? "f32" : dtype };
}

function moved(x: ReferenceTensor, output: TensorType, from: (at: Extents) => Extents): Float64Array {
  const [batch, height, width, channels] = output.shape as Extents;
  const [, h, w, c] = x.shape as Extents;
  const y: number[] = [];
  for (let b = 0; b < batch; b++)
    for (let row = 0; row < height; row++)
      for (let column = 0; column < width; column++)
        for (let channel = 0; channel < channels; channel++) {
          const at = from([b, row, column, channel]);
          y.push(x.data[((at[0] * h + at[1]) * w + at[2]) * c + at[3]]!);
        }
  return Float64Array.from(y);
}

function variantsOf(op: string, shuffle: boolean): Variant<PixelShuffleAttributes>[] {
  return [
    {
      name: "pixel_shuffle.vec4",
      // Takes llvmpipe longer to compile than all the steps of a picture would save.
      suits: "hardware",
      unfit: (_, [x], output) => unfitForFours(x!, output),
      launch: ([x], output, { factor }) => ({
        kernel: specialise(`${op}.vec4`, vec4, x!, output, factor, shuffle),
        workgroups: grid1d(sizeOf(output) / 4, 64),
      }),
    },
    {
      name: "pixel_shuffle.simple",
      suits: "any",
      unfit: (_, [x], output) => unfitForScalar(x, output),
      launch: ([x], output, { factor }) => ({
        kernel: specialise(`${op}.simple`, simple, x!, output, factor, shuffle),
        workgroups: grid1d(sizeOf(output), 64),
      }),
    },
  ];
}

// The kernel reads and writes by four across pixels, so the deep side's channels decide; halves need them on their own side.
function unfitForFours(x: TensorType, output: TensorType): string | undefined {
  const deep = Math.max(x.shape[3]!, output.shape[3]!);
  if (deep % 4) return `last axis ${deep} is not a multiple of 4`;
  const odd = [x, output].find((type) => type.dtype === "f16" && type.shape[3]! % 4);
  return odd ? `f16 with a last axis of ${odd.shape[3]}` : undefined;
}

function specialise(
  name: string,
  code: string,
  x: TensorType,
  output: TensorType,
  factor: number,
  shuffle: boolean,
): Launch["kernel"] {
  const [wide, deep] = shuffle ? [output, x] : [x, output];
  return {
    name,
    code: map + code,
    bindings: ["read", "write"],
    storage: { x: storageOf(x), y: storageOf(output) },
    constants: { W: deep.shape[2]!, C: wide.shape[3]!, R: factor, SHUFFLE: shuffle },
  };
}
