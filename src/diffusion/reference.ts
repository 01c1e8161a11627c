// Plain f64 reference of one sampling step, which the GPU kernels are held against.
import type { StepCoefficients } from "./step.ts";
import type { Thresholding } from "./thresholding.ts";

/** The p-quantile of the values, p in [0, 1], interpolating linearly between neighbours in order (as NumPy does). */
export function quantile(values: ArrayLike<number>, p: number): number {
  const sorted = Float64Array.from(values).sort();
  const place = p * (sorted.length - 1);
  const below = Math.floor(place);
  const above = Math.ceil(place);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** Thresholds the predicted x0 of one sample. */
export function referenceThreshold(x0: ArrayLike<number>, thresholding: Thresholding): Float64Array {
  const values = Float64Array.from(x0);
  switch (thresholding.kind) {
    case "none":
      return values;
    case "static":
      return values.map((value) => clamp(value, -thresholding.range, thresholding.range));
    case "dynamic": {
      const s = clamp(quantile(values.map(Math.abs), thresholding.quantile), 1, thresholding.max);
      return values.map((value) => clamp(value, -s, s) / s);
    }
  }
}

/**
 * One step of one sample by the contract of `StepCoefficients`: x and the model's output m -> the next x, and the
 * thresholded x0 to pass as `x0Previous` next. `x0Previous` and `noise` may be undefined where c1 or cn is 0, `variance` where cv is absent; `earlier`: the model's
 * outputs before this one, latest first, where the step has weights.
 */
export function referenceStep(
  x: ArrayLike<number>,
  m: ArrayLike<number>,
  x0Previous: ArrayLike<number> | undefined,
  noise: ArrayLike<number> | undefined,
  { px, pm, cx, cm, c0, c1, cn, cv = 0, weights = [1] }: StepCoefficients,
  thresholding: Thresholding,
  variance?: ArrayLike<number>,
  earlier: readonly ArrayLike<number>[] = [],
): { x: Float64Array; x0: Float64Array } {
  const predicted = Float64Array.from(x, (value, i) => px * value + pm * m[i]);
  const x0 = referenceThreshold(predicted, thresholding);
  const next = x0.map(
    (value, i) =>
      cx * x[i] +
      cm * weights.reduce((sum, weight, back) => sum + (weight && weight * [m, ...earlier][back]![i]), 0) +
      c0 * value +
      c1 * (x0Previous?.[i] ?? 0) +
      cn * Math.exp((cv * (1 + (variance?.[i] ?? 0))) / 2) * (noise?.[i] ?? 0),
  );
  return { x: next, x0 };
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
