// Order statistics and lines: what the lab says about a list of measurements.

/** A list of measurements in five numbers. */
export interface Spread {
  readonly median: number;
  /** First quartile. */
  readonly low: number;
  /** Third quartile. */
  readonly high: number;
  readonly least: number;
  /** How many were measured. */
  readonly count: number;
}

/** Middle value of a list that is not empty. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linearly interpolated quantile, q in [0, 1], of a list that is not empty (Hyndman & Fan, 1996, definition 7). */
export function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at % 1);
}

/** The spread of a list that is not empty. */
export function spreadOf(values: readonly number[]): Spread {
  return {
    median: median(values),
    low: quantile(values, 0.25),
    high: quantile(values, 0.75),
    least: Math.min(...values),
    count: values.length,
  };
}

/** Slope of the least-squares line through at least three (x, y) points, and its standard error. */
export function leastSquares(points: readonly (readonly [x: number, y: number])[]): { slope: number; error: number } {
  const sum = (of: (x: number, y: number) => number) => points.reduce((total, [x, y]) => total + of(x, y), 0);
  const meanX = sum((x) => x) / points.length;
  const meanY = sum((_, y) => y) / points.length;
  const spread = sum((x) => (x - meanX) ** 2);
  const slope = sum((x, y) => (x - meanX) * (y - meanY)) / spread;
  const residual = sum((x, y) => (y - meanY - slope * (x - meanX)) ** 2);
  return { slope, error: Math.sqrt(residual / (points.length - 2) / spread) };
}
