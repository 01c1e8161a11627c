// Charts as plain SVG text: lines and marks over linear or logarithmic axes, readable on light and on dark pages.

/** One axis. */
export interface Axis {
  /** What it counts, with its unit. */
  readonly label: string;
  /** Linear axes begin at 0. */
  readonly scale: "linear" | "log";
}

/** A line through points. */
export interface Line {
  /** In the legend; of references beside the line itself. */
  readonly name: string;
  readonly points: readonly (readonly [x: number, y: number])[];
  readonly dashed?: boolean;
  /**
   * What the others are held against: thin, in the colour of text, without dots. Its name stands above its right end, to the left of that
   * end, or to the right of its middle.
   */
  readonly reference?: "above" | "left" | "right";
}

/** A single dot; those of one group share a colour and a place in the legend. */
export interface Mark {
  readonly group: string;
  readonly x: number;
  readonly y: number;
  readonly hollow?: boolean;
  /** Shown where the pointer rests. */
  readonly title: string;
}

/** What to draw. */
export interface Chart {
  readonly title: string;
  readonly x: Axis;
  readonly y: Axis;
  readonly lines: readonly Line[];
  readonly marks?: readonly Mark[];
}

/** Pixels. */
const size = { width: 900, height: 540 };
const frame = { left: 78, top: 46, right: 640, bottom: 478 };
const legend = { x: 660, y: 58, row: 20 };

// After Okabe & Ito (2008), told apart with any colour vision; without the two that vanish on white or black, and with a blue that shows on both.
const colours = ["#2a87c8", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7f7f7f", "#8c6bb1", "#a6761d"];

/** The chart as an SVG document. Throws `RangeError` where there is nothing to draw, or a logarithmic axis meets a value that is not above 0. */
export function chart({ title, x, y, lines, marks = [] }: Chart): string {
  const points = [...lines.flatMap((line) => line.points), ...marks.map((mark) => [mark.x, mark.y] as const)];
  if (points.length === 0) throw new RangeError("a chart needs at least one point");
  const across = scaleOf(
    x,
    points.map(([value]) => value),
    [frame.left, frame.right],
  );
  const up = scaleOf(
    y,
    points.map(([, value]) => value),
    [frame.bottom, frame.top],
  );
  const groups = [...new Set(marks.map(({ group }) => group))];
  const colour = (i: number) => colours[i % colours.length]!;
  const own = lines.filter(({ reference }) => !reference);
  const drawnLines = lines.map((line) =>
    drawLine(line, colour(groups.length + own.indexOf(line)), across.place, up.place),
  );
  const drawnMarks = marks.map((mark) => drawMark(mark, colour(groups.indexOf(mark.group)), across.place, up.place));
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${size.width}" height="${size.height}" viewBox="0 0 ${size.width} ${size.height}" font-family="system-ui, sans-serif" font-size="12">
<style>
.paper { fill: #fff } .ink { fill: #1b1f24 } .faint { fill: #57606a } .grid { stroke: #d8dee4 } .axis { stroke: #57606a; fill: none } .reference { stroke: #24292f }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } .ink { fill: #e6edf3 } .faint { fill: #9198a1 } .grid { stroke: #2b313a } .axis { stroke: #9198a1 } .reference { stroke: #e6edf3 }
}
</style>
<rect class="paper" width="100%" height="100%"/>
<text class="ink" x="${frame.left}" y="26" font-size="15" font-weight="600">${escapeXml(title)}</text>
${across.ticks.map(({ at, text }) => `<line class="grid" x1="${at}" y1="${frame.top}" x2="${at}" y2="${frame.bottom}"/><text class="faint" x="${at}" y="${frame.bottom + 18}" text-anchor="middle">${text}</text>`).join("\n")}
${up.ticks.map(({ at, text }) => `<line class="grid" x1="${frame.left}" y1="${at}" x2="${frame.right}" y2="${at}"/><text class="faint" x="${frame.left - 8}" y="${round(at + 4)}" text-anchor="end">${text}</text>`).join("\n")}
<path class="axis" d="M${frame.left} ${frame.top}V${frame.bottom}H${frame.right}"/>
<text class="ink" x="${(frame.left + frame.right) / 2}" y="${frame.bottom + 42}" text-anchor="middle">${escapeXml(x.label)}</text>
<text class="ink" transform="translate(20 ${(frame.top + frame.bottom) / 2}) rotate(-90)" text-anchor="middle">${escapeXml(y.label)}</text>
${drawnLines.join("\n")}
${drawnMarks.join("\n")}
${drawLegend(lines, groups, colour).join("\n")}
</svg>
`;
}

interface Scale {
  readonly place: (value: number) => number;
  readonly ticks: readonly { readonly at: number; readonly text: string }[];
}

function scaleOf({ scale, label }: Axis, values: readonly number[], [start, end]: readonly [number, number]): Scale {
  const most = Math.max(...values);
  const least = Math.min(...values);
  if (scale === "linear") {
    const step = niceStep(most / 6 || 1);
    const top = Math.max(step, Math.ceil(most / step) * step);
    const place = (value: number) => round(start + (value / top) * (end - start));
    const count = Math.round(top / step);
    return {
      place,
      ticks: Array.from({ length: count + 1 }, (_, i) => ({ at: place(i * step), text: tickText(i * step) })),
    };
  }
  if (!(least > 0)) throw new RangeError(`the logarithmic axis "${label}" has a value of ${least}`);
  // A little air, so that no mark lies on the frame.
  const from = Math.log10(least) - 0.08;
  const to = Math.log10(most) + 0.08;
  const place = (value: number) => round(start + ((Math.log10(value) - from) / (to - from)) * (end - start));
  const decades = to - from;
  const factors = decades > 4 ? [1] : decades > 1.6 ? [1, 3] : [1, 2, 5];
  const ticks: number[] = [];
  for (let exponent = Math.floor(from); exponent <= Math.ceil(to); exponent++)
    for (const factor of factors) {
      const value = factor * 10 ** exponent;
      if (Math.log10(value) >= from && Math.log10(value) <= to) ticks.push(value);
    }
  return { place, ticks: ticks.map((value) => ({ at: place(value), text: tickText(value) })) };
}

/** 1, 2 or 5 times a power of ten, at least `rough`. */
function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough)!;
}

function tickText(value: number): string {
  if (value >= 1e6 || (value > 0 && value < 1e-3)) return value.toExponential(0).replace("e+", "e");
  return String(Number(value.toPrecision(6)));
}

type Place = (value: number) => number;
type Pixel = [x: number, y: number];

function drawLine({ points, dashed, reference, name }: Line, colour: string, across: Place, up: Place): string {
  const path = points.map(([x, y], i) => `${i ? "L" : "M"}${across(x)} ${up(y)}`).join("");
  const dashes = dashed ? ' stroke-dasharray="6 4"' : "";
  if (reference) {
    const label = drawLabel(name, reference, points, across, up);
    return `<path class="reference" d="${path}" fill="none" stroke-width="1.5"${dashes}/>${label}`;
  }
  const dots = points.map(([x, y]) => {
    const title = escapeXml(`${name}: ${tickText(x)}, ${tickText(Number(y.toPrecision(4)))}`);
    return `<circle cx="${across(x)}" cy="${up(y)}" r="3.5" fill="${colour}"><title>${title}</title></circle>`;
  });
  return `<path d="${path}" fill="none" stroke="${colour}" stroke-width="2"${dashes}/>${dots.join("")}`;
}

function drawLabel(
  name: string,
  side: NonNullable<Line["reference"]>,
  points: Line["points"],
  across: Place,
  up: Place,
): string {
  const [[x0, y0], [x1, y1]] = [points[0]!, points.at(-1)!].map(([x, y]) => [across(x), up(y)]) as [Pixel, Pixel];
  const [x, y] = { above: [x1, y1 - 6], left: [x1 - 12, y1 + 14], right: [(x0 + x1) / 2 + 12, (y0 + y1) / 2 + 8] }[
    side
  ];
  const anchor = side === "right" ? "start" : "end";
  return `<text class="faint" x="${round(x!)}" y="${round(y!)}" text-anchor="${anchor}" font-size="11">${escapeXml(name)}</text>`;
}

function drawMark({ x, y, hollow, title }: Mark, colour: string, across: Place, up: Place): string {
  const paint = hollow
    ? `fill="none" stroke="${colour}" stroke-width="1.3" r="3.2"`
    : `fill="${colour}" fill-opacity="0.85" r="4.2"`;
  return `<circle cx="${across(x)}" cy="${up(y)}" ${paint}><title>${escapeXml(title)}</title></circle>`;
}

function drawLegend(lines: readonly Line[], groups: readonly string[], colour: (i: number) => string): string[] {
  const middle = (row: number) => legend.y + row * legend.row;
  const text = (row: number, name: string) =>
    `<text class="ink" x="${legend.x + 30}" y="${middle(row) + 4}">${escapeXml(name)}</text>`;
  const dot = (name: string, i: number) =>
    `<circle cx="${legend.x + 12}" cy="${middle(i)}" r="4.2" fill="${colour(i)}"/>${text(i, name)}`;
  const dash = (name: string, i: number) =>
    `<path d="M${legend.x} ${middle(i)}h24" fill="none" stroke="${colour(i)}" stroke-width="2"/>${text(i, name)}`;
  const own = lines.filter(({ reference }) => !reference);
  return [...groups.map(dot), ...own.map(({ name }, i) => dash(name, groups.length + i))];
}

const round = (value: number) => Math.round(value * 10) / 10;

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
