// What changed between two runs beyond their noise.
import { type Measurement, type Reports, show, type Table } from "./report.ts";

/** A figure that differs: the two runs' middle halves do not overlap. */
export interface Change {
  readonly family: string;
  readonly name: string;
  readonly unit: string;
  readonly before: number;
  readonly after: number;
  /** How many times as good as before: above 1 is progress, whichever way the figure counts. */
  readonly gain: number;
}

/** What `compare` found. */
export interface Comparison {
  /** The worst loss first, the greatest gain last. */
  readonly changes: readonly Change[];
  /** Figures of both runs that did not change beyond noise. */
  readonly unchanged: number;
  /** Figures of one run only, as `family/name`. */
  readonly onlyBefore: readonly string[];
  readonly onlyAfter: readonly string[];
}

/** Compares two runs figure by figure; figures of a single measurement count as changed only by more than `slack`. */
export function compare(before: Reports, after: Reports, slack = 0.02): Comparison {
  const [old, now] = [figures(before), figures(after)];
  const changes: Change[] = [];
  let unchanged = 0;
  for (const [key, { family, measurement: b }] of now) {
    const a = old.get(key)?.measurement;
    if (!a) continue;
    const ratio = a.better === "less" ? a.median / b.median : b.median / a.median;
    const single = a.count < 2 || b.count < 2;
    const apart = a.low > b.high || b.low > a.high;
    const changed = single ? Math.abs(Math.log(ratio)) > Math.log1p(slack) : apart;
    if (!changed || a.median === b.median) unchanged++;
    else changes.push({ family, name: b.name, unit: b.unit, before: a.median, after: b.median, gain: ratio });
  }
  return {
    changes: changes.sort((a, b) => a.gain - b.gain),
    unchanged,
    onlyBefore: [...old.keys()].filter((key) => !now.has(key)),
    onlyAfter: [...now.keys()].filter((key) => !old.has(key)),
  };
}

/** The changes as a table. */
export function comparisonTable({ changes }: Comparison): Table {
  return {
    columns: ["family", "figure", "unit", "before", "after", "change"],
    rows: changes.map(({ family, name, unit, before, after, gain }) => [
      family,
      name,
      unit,
      before,
      after,
      gain >= 1 ? `${show(gain)}x better` : `${show(1 / gain)}x worse`,
    ]),
  };
}

function figures(reports: Reports): Map<string, { family: string; measurement: Measurement }> {
  return new Map(
    Object.entries(reports).flatMap(([family, { measurements }]) =>
      // Reports of earlier forms have none.
      (measurements ?? []).map((measurement) => [`${family}/${measurement.name}`, { family, measurement }] as const),
    ),
  );
}
