// Explains a plan: every dispatch as a table, and the graph as a drawing.
import { showShape, type TensorType } from "../ops/op.ts";
import type { Choice } from "./choose.ts";
import { type Plan, type PlannedNode, persistentBytes } from "./compile.ts";
import { type Cost, costOf } from "./cost.ts";
import { type Stage, stages, type Value } from "./graph.ts";
import { bytesOfType } from "./plan.ts";

/** One dispatch, as plain data. */
export interface ExplainedDispatch extends Cost {
  readonly stage: Stage;
  /** Where in the model. */
  readonly label: string;
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly kernel: string;
  readonly reason: string;
  /** Kernels passed over, and why. */
  readonly others: Choice["others"];
  /** Arena and offset of the result, or that it has a buffer of its own. */
  readonly slot: string;
}

/** Every dispatch of the plan, in the order in which it runs. */
export function explain(plan: Plan, only: readonly Stage[] = stages): ExplainedDispatch[] {
  return only.flatMap((stage) => plan.schedule[stage].map((planned) => explainDispatch(plan, stage, planned)));
}

/** The dispatches as a table, with the plan's totals, for a terminal. */
export function explainTable(plan: Plan, only: readonly Stage[] = stages): string {
  const header = ["stage", "where", "op", "inputs", "output", "kernel", "why", "runners-up", "MFLOP", "kB", "slot"];
  const dispatches = explain(plan, only);
  const rows = dispatches.map((d) => [
    d.stage,
    d.label,
    d.op,
    d.inputs.join(" "),
    d.output,
    d.kernel,
    d.reason,
    runnersUp(d),
    d.flops ? (d.flops / 1e6).toFixed(1) : "",
    (d.bytes / 1e3).toFixed(0),
    d.slot,
  ]);
  return [...alignColumns([header, ...rows]), "", ...totals(plan, dispatches)].join("\n");
}

/** The other kernels that were measured, fastest first. */
function runnersUp({ others }: ExplainedDispatch): string {
  const measured = others.flatMap(({ variant, milliseconds }) => (milliseconds ? [{ variant, milliseconds }] : []));
  return measured
    .sort((a, b) => a.milliseconds - b.milliseconds)
    .map(({ variant, milliseconds }) => `${variant.split(".").at(-1)} ${milliseconds.toPrecision(3)}`)
    .join(", ");
}

/** The plan's totals, a line each. */
function totals(plan: Plan, dispatches: readonly ExplainedDispatch[]): string[] {
  const lines = stages.flatMap((stage) => {
    const own = dispatches.filter((d) => d.stage === stage);
    const flops = own.reduce((sum, d) => sum + d.flops, 0);
    return own.length ? [`${stage}: ${own.length} dispatches, ${(flops / 1e9).toFixed(2)} GFLOP`] : [];
  });
  const { arenas, lowerBound } = plan.memory;
  const planned = arenas.reduce((sum, bytes) => sum + bytes, 0);
  const excess = lowerBound ? `, ${((planned / lowerBound - 1) * 100).toFixed(1)}% above` : "";
  const short = plan.schedule["short step"];
  // Such as the weights of Winograd convolutions.
  const made = plan.schedule.load.reduce((sum, { node }) => sum + bytesOfType(node.output.type), 0);
  if (short.length > 0 && dispatches.some(({ stage }) => stage === "step")) {
    const flops = short.reduce((sum, each) => sum + costOf(each).flops, 0);
    lines.push(`short step: ${short.length} dispatches, ${(flops / 1e9).toFixed(2)} GFLOP`);
  }
  return [
    ...lines,
    `intermediate memory: ${planned} bytes in ${arenas.length} arenas; lower bound (largest live set): ${lowerBound} bytes${excess}`,
    `inputs, constants and results kept between stages: ${persistentBytes(plan)} bytes`,
    ...(made > 0 ? [`of these made of weights at load: ${made} bytes`] : []),
  ];
}

function explainDispatch(plan: Plan, stage: Stage, planned: PlannedNode): ExplainedDispatch {
  const { node, choice } = planned;
  const types = node.inputs.map((value) => value?.type ?? null);
  const place = plan.memory.places.get(node.output);
  return {
    stage,
    label: node.label,
    op: node.op.name,
    inputs: types.map((type) => (type ? showType(type) : "-")),
    output: showType(node.output.type),
    kernel: choice.variant,
    reason: choice.reason,
    others: choice.others,
    ...costOf(planned),
    slot: place ? `arena ${place.arena} + ${place.offset}` : "own buffer",
  };
}

function showType({ shape, dtype }: TensorType): string {
  return `${dtype}${showShape(shape).replaceAll(" ", "")}`;
}

function alignColumns(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join("  ")
      .trimEnd(),
  );
}

const box = { width: 190, height: 34, gapX: 22, gapY: 20 };
const colours: Record<Stage, string> = { load: "#7a6a2b", request: "#1f6f54", step: "#2b4a8b" };

/**
 * The graph as SVG: a box a dispatch, coloured by stage, with arrows along the tensors. A node stands one row below its lowest operand,
 * so rows are what could run at once.
 */
export function explainSvg(plan: Plan, only: readonly Stage[] = stages): string {
  const planned = only.flatMap((stage) => plan.schedule[stage].map((p) => ({ stage, ...p })));
  const rowOf = new Map<Value, number>();
  const rows: (typeof planned)[] = [];
  for (const entry of planned) {
    const row = 1 + Math.max(-1, ...entry.node.inputs.map((value) => (value ? (rowOf.get(value) ?? -1) : -1)));
    rowOf.set(entry.node.output, row);
    rows[row] ??= [];
    rows[row].push(entry);
  }
  const place = new Map<Value, { x: number; y: number }>();
  rows.forEach((row, y) => {
    row.forEach(({ node }, x) => {
      place.set(node.output, { x: 20 + x * (box.width + box.gapX), y: 50 + y * (box.height + box.gapY) });
    });
  });
  const width = 20 + Math.max(1, ...rows.map((row) => row.length)) * (box.width + box.gapX);
  const height = 60 + rows.length * (box.height + box.gapY);
  const arrows = planned.flatMap(({ node }) =>
    node.inputs.flatMap((value) => {
      const from = value && place.get(value);
      return from ? [arrow(from, place.get(node.output)!)] : [];
    }),
  );
  const boxes = planned.map(({ stage, node, choice }) =>
    drawBox(stage, node.label, choice.variant, showType(node.output.type), place.get(node.output)!),
  );
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="10">
<rect width="100%" height="100%" fill="#fff"/>
${only.map((stage, i) => `<rect x="${20 + i * 170}" y="14" width="12" height="12" rx="2" fill="${colours[stage]}"/><text x="${38 + i * 170}" y="24">${stage}: ${plan.schedule[stage].length} dispatches</text>`).join("\n")}
<g fill="none" stroke="#9aa3ad" stroke-width="1">
${arrows.join("\n")}
</g>
${boxes.join("\n")}
</svg>
`;
}

function arrow(from: { x: number; y: number }, to: { x: number; y: number }): string {
  const [x0, y0, x1, y1] = [from.x + box.width / 2, from.y + box.height, to.x + box.width / 2, to.y];
  const bend = Math.max(12, (y1 - y0) / 2);
  return `<path d="M${x0} ${y0} C${x0} ${y0 + bend} ${x1} ${y1 - bend} ${x1} ${y1}"/>`;
}

function drawBox(
  stage: Stage,
  label: string,
  kernel: string,
  type: string,
  { x, y }: { x: number; y: number },
): string {
  return `<g><title>${escapeXml(`${label}: ${kernel} -> ${type}`)}</title><rect x="${x}" y="${y}" width="${box.width}" height="${box.height}" rx="5" fill="${colours[stage]}"/><text x="${x + 8}" y="${y + 14}" fill="#fff" font-weight="bold">${escapeXml(label || "(input)")}</text><text x="${x + 8}" y="${y + 27}" fill="#dfe6ee">${escapeXml(`${kernel} ${type}`)}</text></g>`;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
