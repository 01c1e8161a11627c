// The quantile of |x| over each sample that dynamic thresholding clips at, selected exactly and without a sort.
import serial from "../../kernels/abs_quantile.serial.wgsl";
import { ReimagenError } from "../errors.ts";
import { lazyKernels, unfitForHardware } from "./lazy_kernels.ts";
import type { Op, Variant } from "./op.ts";
import { requiredSamples, sampleSize } from "./per_sample.ts";

/** Attributes of `absQuantile`. */
export interface AbsQuantileAttributes {
  /** Which quantile, in [0, 1]. */
  readonly p: number;
}

const name = "abs_quantile";

/**
 * Input: x [N, ...] f32. Output: [N] f32, the p-quantile of the sample's |x|: linear between the order statistics
 * around place p (size - 1), counted from 0 (Hyndman & Fan, 1996, definition 7). Throws `argument` unless p is in [0, 1].
 */
export const absQuantile: Op<AbsQuantileAttributes> = {
  name,

  infer(inputs, { p }) {
    const x = requiredSamples(name, "x", inputs, 0);
    if (!(p >= 0 && p <= 1)) throw new ReimagenError("argument", `${name}: p must be in [0, 1], got ${p}`);
    return { shape: [x.shape[0]!], dtype: "f32" };
  },

  reference([x], output, { p }) {
    const size = x!.data.length / output.shape[0]!;
    const { rank, fraction } = placeOf(p, size);
    return Float64Array.from({ length: output.shape[0]! }, (_, sample) => {
      const sorted = x!.data
        .subarray(sample * size, (sample + 1) * size)
        .map(Math.abs)
        .sort();
      return sorted[rank]! + (fraction > 0 ? (sorted[rank + 1]! - sorted[rank]!) * fraction : 0);
    });
  },

  variants: [
    variant("serial", "software", () => serial),
    { ...variant("workgroup", "hardware", () => lazyKernels.hardware!.absQuantile), unfit: unfitForHardware },
  ],
};

function placeOf(p: number, size: number): { rank: number; fraction: number } {
  const place = p * (size - 1);
  return { rank: Math.floor(place), fraction: place - Math.floor(place) };
}

function variant(
  kind: string,
  suits: Variant<AbsQuantileAttributes>["suits"],
  code: () => string,
): Variant<AbsQuantileAttributes> {
  return {
    name: `${name}.${kind}`,
    suits,
    launch([x], output, { p }) {
      const size = sampleSize(x!);
      const { rank, fraction } = placeOf(p, size);
      return {
        kernel: {
          name: `${name}.${kind}`,
          code: code(),
          bindings: ["read", "write"],
          constants: { SIZE: size, RANK: rank },
          scalars: { FRACTION: fraction },
        },
        workgroups: [output.shape[0]!, 1, 1],
      };
    },
  };
}
