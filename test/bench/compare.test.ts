// Two runs side by side: only what changed beyond the runs' own noise is reported.
import { describe, expect, it } from "vitest";
import { compare, comparisonTable } from "../../bench/lab/compare.ts";
import type { Machine, Measurement, Reports } from "../../bench/lab/report.ts";

const machine: Machine = {
  adapter: "a",
  slug: "a",
  drivers: [],
  processor: "p",
  cores: 1,
  versions: {},
  date: "2026-01-01",
};

function run(...measurements: readonly Measurement[]): Reports {
  return { ops: { family: "ops", machine, title: "", tables: [], notes: [], measurements } };
}

const ms = (name: string, low: number, median: number, high: number): Measurement => ({
  name,
  unit: "ms",
  better: "less",
  median,
  low,
  high,
  least: low,
  count: 9,
});

describe("comparing two runs", () => {
  it("reports a figure whose middle halves lie apart, and by how much it gained", () => {
    const { changes, unchanged } = compare(run(ms("conv", 9, 10, 11)), run(ms("conv", 4.8, 5, 5.2)));
    expect(unchanged).toBe(0);
    expect(changes).toEqual([{ family: "ops", name: "conv", unit: "ms", before: 10, after: 5, gain: 2 }]);
  });

  it("keeps quiet where the middle halves overlap, however far the medians moved", () => {
    expect(compare(run(ms("conv", 5, 10, 20)), run(ms("conv", 4, 6, 8)))).toMatchObject({ changes: [], unchanged: 1 });
  });

  it("counts a rate that rose as a gain, and puts the worst loss first", () => {
    const rate = (name: string, value: number): Measurement => ({
      ...ms(name, value * 0.99, value, value * 1.01),
      unit: "GB/s",
      better: "more",
    });
    const before = run(rate("copy", 100), rate("fma", 100), ms("add", 1, 1, 1));
    const after = run(rate("copy", 300), rate("fma", 50), ms("add", 2, 2, 2));
    const comparison = compare(before, after);
    expect(comparison.changes.map(({ name, gain }) => [name, gain])).toEqual([
      ["fma", 0.5],
      ["add", 0.5],
      ["copy", 3],
    ]);
    expect(comparisonTable(comparison).rows.map((row) => row.at(-1))).toEqual(["2x worse", "2x worse", "3x better"]);
  });

  it("takes single measurements for changed only when they differ by more than the slack", () => {
    const once = (value: number): Measurement => ({ ...ms("start", value, value, value), count: 1 });
    expect(compare(run(once(100)), run(once(101))).changes).toHaveLength(0);
    expect(compare(run(once(100)), run(once(110))).changes).toHaveLength(1);
  });

  it("names what only one of the runs has", () => {
    const { onlyBefore, onlyAfter } = compare(run(ms("old", 1, 1, 1)), run(ms("new", 1, 1, 1)));
    expect([onlyBefore, onlyAfter]).toEqual([["ops/old"], ["ops/new"]]);
  });
});
