// The roofline plot (Williams, Waterman & Patterson, 2009): what kernels reach beside what memory and arithmetic allow.
import type { Ceilings } from "./ceilings.ts";
import { chart, type Line, type Mark } from "./plots.ts";

/** One kernel at one shape. */
export interface RooflinePoint {
  /** Its op; each has its own colour. */
  readonly group: string;
  readonly label: string;
  /** Operations a byte. */
  readonly intensity: number;
  /** GFLOP/s. */
  readonly rate: number;
  /** Whether the engine takes it; others are drawn hollow. */
  readonly chosen: boolean;
}

/** The plot as SVG. */
export function roofline(ceilings: Ceilings, points: readonly RooflinePoint[]): string {
  const intensities = points.map(({ intensity }) => intensity);
  const from = Math.min(0.05, ...intensities);
  const to = Math.max(1000, ...intensities) * 2;
  const memory = ceilings.copies.at(-1)!.rate.median / 1e9;
  const cached = Math.max(...ceilings.copies.map(({ rate }) => rate.median)) / 1e9;
  const roofs: { name: string; peak: number }[] = [
    { name: "f32 multiply-add", peak: ceilings.f32.rate.median / 1e9 },
    ...(ceilings.f16 ? [{ name: "f16 multiply-add", peak: ceilings.f16.rate.median / 1e9 }] : []),
    ...ceilings.matrix.slice(0, 1).map(({ rate, how }) => ({ name: `matrix ${how}`, peak: rate.median / 1e9 })),
  ];
  const highest = Math.max(...roofs.map(({ peak }) => peak));
  const lines: Line[] = [
    ...roofs.map(({ name, peak }) => ({
      name: `${name}, ${format(peak)}`,
      points: [
        [Math.max(from, peak / cached), peak],
        [to, peak],
      ] as const,
      reference: "above" as const,
    })),
    {
      name: `copy in caches, ${cached.toPrecision(3)} GB/s`,
      points: slope(cached, from, highest),
      dashed: true,
      reference: "left" as const,
    },
    ...(cached > memory * 1.05
      ? [
          {
            name: `copy from memory, ${memory.toPrecision(3)} GB/s`,
            points: slope(memory, from, highest),
            dashed: true,
            reference: "right" as const,
          },
        ]
      : []),
  ];
  const named = fastest(points);
  const marks: Mark[] = points.map(({ group, label, intensity, rate, chosen }) => ({
    group: named.has(group) ? group : "other ops",
    x: intensity,
    y: rate,
    hollow: !chosen,
    title: `${label}: ${format(rate)}`,
  }));
  return chart({
    title: "Roofline: filled are the kernels that the engine takes",
    x: { label: "arithmetic intensity, FLOP a byte", scale: "log" },
    y: { label: "GFLOP/s", scale: "log" },
    lines,
    marks,
  });
}

/** The ops that have a colour of their own: those that reach most; more colours than these are not told apart. */
function fastest(points: readonly RooflinePoint[]): Set<string> {
  const best = new Map<string, number>();
  for (const { group, rate } of points) best.set(group, Math.max(rate, best.get(group) ?? 0));
  return new Set(
    [...best]
      .sort(([, a], [, b]) => b - a)
      .slice(0, 7)
      .map(([group]) => group),
  );
}

const slope = (bandwidth: number, from: number, highest: number) =>
  [
    [from, from * bandwidth],
    [highest / bandwidth, highest],
  ] as const;

function format(rate: number): string {
  return rate >= 1000 ? `${(rate / 1000).toPrecision(3)} TFLOP/s` : `${rate.toPrecision(3)} GFLOP/s`;
}
