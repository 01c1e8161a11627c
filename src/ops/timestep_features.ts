// Sinusoidal features of the timestep, the input of a U-Net's time embedding.
import simple from "../../kernels/timestep_features.simple.wgsl";
import { ReimagenError } from "../errors.ts";
import { grid1d, type Op, required, shapeError, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";

/** Attributes of `timestepFeatures`. */
export interface TimestepFeaturesAttributes {
  /** Number of features, even: a cosine and a sine of each frequency. */
  readonly dim: number;
  /** Which half comes first. */
  readonly order: "cos-sin" | "sin-cos";
  /** Angle of the first frequency at t = 1, in radians; 1000 when absent. */
  readonly scale?: number;
  /** Ratio of the first frequency to the one after the last; 10000 when absent. */
  readonly maxPeriod?: number;
  /** Taken from the dim / 2 steps that the frequencies are spread over; 0 when absent. With 1 the last one is scale / maxPeriod. */
  readonly shift?: number;
}

const name = "timestep_features";

/**
 * Input: t [B] f32. Output: [B, dim] f32, cosines and sines of scale t maxPeriod^(-i / (dim / 2 - shift)) for i < dim / 2
 * (Vaswani et al., 2017, section 3.5; Ho et al., 2020).
 */
export const timestepFeatures: Op<TimestepFeaturesAttributes> = {
  name,

  infer(inputs, { dim, shift = 0 }) {
    const t = required(name, "t", inputs, 0);
    if (t.shape.length !== 1) throw shapeError(name, "t", "[B]", t.shape);
    expectDtype(name, "t", t, "f32");
    if (!Number.isInteger(dim / 2) || dim <= 0)
      throw new ReimagenError("argument", `${name}: dim must be even and positive, got ${dim}`);
    if (!(dim / 2 > shift))
      throw new ReimagenError("argument", `${name}: shift must be less than dim / 2 = ${dim / 2}, got ${shift}`);
    return { shape: [t.shape[0]!, dim], dtype: "f32" };
  },

  reference([t], output, { dim, order, scale = 1000, maxPeriod = 10000, shift = 0 }) {
    const half = dim / 2;
    const y = new Float64Array(sizeOf(output));
    for (const [sample, time] of t!.data.entries())
      for (let i = 0; i < half; i++) {
        const angle = scale * time * Math.exp((-Math.log(maxPeriod) * i) / (half - shift));
        const [first, second] = order === "cos-sin" ? [Math.cos, Math.sin] : [Math.sin, Math.cos];
        y[sample * dim + i] = first(angle);
        y[sample * dim + half + i] = second(angle);
      }
    return y;
  },

  variants: [
    {
      name: "timestep_features.simple",
      suits: "any",
      launch: (_, output, { dim, order, scale = 1000, maxPeriod = 10000, shift = 0 }) => ({
        kernel: {
          name: `${name}.simple`,
          code: simple,
          bindings: ["read", "write"],
          constants: { HALF: dim / 2, SIN_FIRST: order === "sin-cos" },
          scalars: {
            ...wide("TURNS", scale / (2 * Math.PI)),
            ...wide("RATIO", maxPeriod ** (-1 / (dim / 2 - shift))),
          },
        },
        workgroups: grid1d(sizeOf(output) / 2, 64),
      }),
    },
  ],
};

/** A constant as a head of 12 significant bits and the rest. */
function wide(constant: string, value: number): Record<string, number> {
  const bits = new Uint32Array(Float32Array.of(value).buffer);
  bits[0]! &= 0xfffff000;
  const head = new Float32Array(bits.buffer)[0]!;
  return { [`${constant}_HEAD`]: head, [`${constant}_TAIL`]: Math.fround(value - head) };
}
