// The lab's charts as documents: well-formed, with what was measured in the right places.
import { describe, expect, it } from "vitest";
import type { Ceilings } from "../../bench/lab/ceilings.ts";
import { type Chart, chart } from "../../bench/lab/plots.ts";
import { roofline } from "../../bench/lab/roofline.ts";
import { spreadOf } from "../../bench/lab/statistics.ts";

const lines: Chart = {
  title: "Times <of> a & b",
  x: { label: "size", scale: "linear" },
  y: { label: "ms", scale: "log" },
  lines: [
    {
      name: "ours",
      points: [
        [1, 1],
        [2, 10],
        [4, 100],
      ],
    },
    {
      name: "limit",
      reference: "above",
      dashed: true,
      points: [
        [0.5, 1],
        [4, 50],
      ],
    },
  ],
};

describe("charts", () => {
  it("are well-formed XML, whatever the names hold", () => {
    const svg = chart(lines);
    expect(openTags(svg)).toEqual([]);
    expect(svg).toContain("Times &lt;of&gt; a &amp; b");
  });

  it("put equal ratios at equal distances on a logarithmic axis, greater values higher", () => {
    const [a, b, c] = [...chart(lines).matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)].map((m) => Number(m[2]));
    expect(a! - b!).toBeGreaterThan(50);
    expect(Math.abs(a! - b! - (b! - c!))).toBeLessThan(0.3);
  });

  it("follow the page's colour scheme", () => {
    expect(chart(lines)).toContain("prefers-color-scheme: dark");
  });

  it("refuse a value of 0 on a logarithmic axis by name", () => {
    const broken = { ...lines, lines: [{ name: "ours", points: [[1, 0]] as const }] };
    expect(() => chart(broken)).toThrow('the logarithmic axis "ms" has a value of 0');
  });
});

describe("the roofline", () => {
  const rate = spreadOf([50e9]);
  const ceilings = {
    f32: { rate, how: "" },
    f16: undefined,
    matrix: [],
    copies: [
      { bytes: 1e5, rate: spreadOf([20e9]) },
      { bytes: 1e8, rate: spreadOf([5e9]) },
    ],
  } as unknown as Ceilings;

  it("draws a dot a kernel, filled where the engine takes it, under named roofs", () => {
    const svg = roofline(ceilings, [
      { group: "conv2d", label: "conv2d a", intensity: 30, rate: 20, chosen: true },
      { group: "conv2d", label: "conv2d b", intensity: 30, rate: 2, chosen: false },
      { group: "add", label: "add", intensity: 0.1, rate: 0.5, chosen: true },
    ]);
    expect(openTags(svg)).toEqual([]);
    expect(svg).toContain("f32 multiply-add, 50.0 GFLOP/s");
    expect(svg).toContain("copy from memory, 5.00 GB/s");
    expect(svg.match(/<title>/g)).toHaveLength(3);
    expect(svg.match(/fill="none" stroke="#[0-9a-f]+" stroke-width="1.3"/g)).toHaveLength(1);
  });
});

/** Tags that were not closed in order; attributes must be quoted and text escaped. */
function openTags(xml: string): string[] {
  const open: string[] = [];
  const rest = xml.replace(/<(\/?)([a-z]+)((?:\s+[\w:-]+="[^"<]*")*)\s*(\/?)>/g, (_, close, name, __, alone) => {
    if (close && open.pop() !== name) open.push(`/${name}`);
    else if (!close && !alone) open.push(name);
    return "";
  });
  return rest.includes("<") ? [...open, rest.slice(rest.indexOf("<"), rest.indexOf("<") + 40)] : open;
}
