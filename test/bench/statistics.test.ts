// The lab's statistics on lists whose answers are known.
import { describe, expect, it } from "vitest";
import { leastSquares, median, quantile, spreadOf } from "../../bench/lab/statistics.ts";

describe("the lab's statistics", () => {
  it("finds the middle and the quartiles whatever the order", () => {
    expect(median([9, 1, 5])).toBe(5);
    expect(median([4, 1, 3, 2])).toBe(2.5);
    expect(quantile([10, 20, 30, 40, 50], 0.25)).toBe(20);
    expect(spreadOf([5, 1, 3, 2, 4])).toEqual({ median: 3, low: 2, high: 4, least: 1, count: 5 });
  });

  it("leaves the list that it was given as it was", () => {
    const times = [3, 1, 2];
    spreadOf(times);
    expect(times).toEqual([3, 1, 2]);
  });

  it("sees the slope of a line through its noise", () => {
    const points = Array.from({ length: 50 }, (_, x) => [x, 2 * x + 7 + (x % 2 ? 0.5 : -0.5)] as const);
    const { slope, error } = leastSquares(points);
    expect(Math.abs(slope - 2)).toBeLessThan(3 * error);
    expect(error).toBeLessThan(0.02);
  });
});
