// Winograd convolution: tiles of the result from the products at 36 points, with the convolution's bias, activation and residual.
import activation from "../../kernels/activation.wgsl";
import register from "../../kernels/winograd_output.register.wgsl";
import { floatBits } from "../gpu/kernel.ts";
import { type Activation, activate, activationCode } from "./activation.ts";
import { expectShape, grid1d, type Op, type Operands, required, shapeError, sizeOf } from "./op.ts";
import { inTwoDimensions, outputMatrix, POINTS, TILE, tilesOf } from "./winograd.ts";

/** Attributes of `winograd_output`: the result's shape but for its channels, and what the convolution does last. */
export interface WinogradOutputAttributes {
  readonly batch: number;
  readonly height: number;
  readonly width: number;
  readonly activation: Activation;
  readonly scale: number;
}

/** Inputs: m [36, tiles, O], b [O] or [1, O], or [B, O], or null, residual [B, HO, WO, O] or null. Output: [B, HO, WO, O]. */
export const winogradOutput: Op<WinogradOutputAttributes> = {
  name: "winograd_output",

  infer(inputs, { batch, height, width }) {
    const m = required("winograd_output", "m", inputs, 0);
    const { tiles } = tilesOf([batch, height, width]);
    const o = m.shape[2]!;
    if (m.shape.join() !== [POINTS, tiles, o].join())
      throw shapeError("winograd_output", "m", `[${POINTS}, ${tiles}, O]`, m.shape);
    expectShape("winograd_output", "residual", inputs[2], [batch, height, width, o]);
    return { shape: [batch, height, width, o], dtype: "f32" };
  },

  reference([m, b, residual], output, { activation: act, scale }) {
    const [, ho, wo, outputs] = output.shape as [number, number, number, number];
    const { rows, columns, tiles } = tilesOf(output.shape);
    const y = new Float64Array(sizeOf(output));
    for (let tile = 0; tile < tiles; tile++)
      for (let o = 0; o < outputs; o++) {
        const sample = Math.floor(tile / (rows * columns));
        const bias = b ? b.data[(b.data.length > outputs ? sample * outputs : 0) + o]! : 0;
        const point = (row: number, column: number) => m!.data[((row * 6 + column) * tiles + tile) * outputs + o]!;
        for (const [i, value] of inTwoDimensions(outputMatrix, point).entries()) {
          const row = (Math.floor(tile / columns) % rows) * TILE + Math.floor(i / TILE);
          const column = (tile % columns) * TILE + (i % TILE);
          if (row >= ho || column >= wo) continue;
          const at = ((sample * ho + row) * wo + column) * outputs + o;
          y[at] = (activate(value + bias, act) + (residual?.data[at] ?? 0)) * scale;
        }
      }
    return y;
  },

  variants: [
    {
      name: "winograd_output.register",
      suits: "software",
      launch: (inputs, { shape }, { activation: act, scale }) => {
        const [, ho, wo, o] = shape as [number, number, number, number];
        const { rows, columns, tiles } = tilesOf(shape);
        return {
          kernel: {
            name: "winograd_output.register",
            code: activation + register,
            bindings: ["read", "read", "read", "write"],
            parameters,
            constants: { ACTIVATION: activationCode(act) },
          },
          workgroups: grid1d((tiles * o) / 4, 64),
          parameters: [
            ...[ho, wo, o, rows, columns, tiles, Number(Boolean(inputs[1])), biasStride(inputs, o)],
            ...[Number(Boolean(inputs[2])), floatBits(scale)],
          ],
        };
      },
    },
  ],
};

const parameters = [
  ...["HO", "WO", "O", "ROWS", "COLUMNS", "TILES", "HAS_BIAS", "BIAS_STRIDE"],
  ...["HAS_RESIDUAL", "SCALE"],
];

const biasStride = ([, b]: Operands, outputs: number) => (b && sizeOf(b) > outputs ? outputs : 0);
