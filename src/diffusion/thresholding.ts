// How a predicted picture is kept in range: not at all, by clipping, or by Imagen's dynamic thresholding.
import { checkChoice, checkNumber } from "./range.ts";

/**
 * static: clip to [-range, range]. dynamic (Saharia et al. 2022, section 2.3): per sample
 * s = clamp(quantile(|x0|, quantile), 1, max), clip to [-s, s], divide by s.
 */
export type Thresholding =
  | { kind: "none" }
  | { kind: "static"; range: number }
  | { kind: "dynamic"; quantile: number; max: number };

/** Throws `argument` unless range > 0, quantile in [0, 1] and max >= 1, all finite. */
export function checkThresholding(thresholding: Thresholding): void {
  checkChoice("thresholding", thresholding.kind, ["none", "static", "dynamic"]);
  if (thresholding.kind === "static") {
    checkNumber("thresholding range", thresholding.range, Number.MIN_VALUE, Number.POSITIVE_INFINITY);
  }
  if (thresholding.kind === "dynamic") {
    checkNumber("thresholding quantile", thresholding.quantile, 0, 1);
    checkNumber("thresholding max", thresholding.max, 1, Number.POSITIVE_INFINITY);
  }
}
