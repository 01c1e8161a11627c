// What a bench found, as data: printed, and kept beside other benches of the same adapter in `bench/results/`.
import { mkdir, readFile } from "node:fs/promises";
import { writeFileAtomically } from "../src/node/files.ts";
import type { Machine } from "./machine.ts";

/** A cell of a table; numbers are rounded when they are shown, not when they are kept. */
export type Cell = string | number;

/** Rows under named columns. */
export interface Table {
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** One bench's findings on one machine. */
export interface Report {
  /** The bench's file name without its ending. */
  readonly bench: string;
  readonly title: string;
  readonly machine: Machine;
  /** Share of the processors' time that others took before the bench began. */
  readonly busy: number;
  readonly table: Table;
  /** What the figures mean, and what follows from them. */
  readonly notes: readonly string[];
  /** What a program may want to read: figures by name. */
  readonly figures: Readonly<Record<string, number>>;
}

const results = new URL("./results/", import.meta.url);

/** Middle value of a list that is not empty. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linearly interpolated quantile, q in [0, 1], of a list that is not empty. */
export function quantile(values: readonly number[], q: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = q * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  return below + (sorted[Math.ceil(at)]! - below) * (at % 1);
}

/** The report as Markdown that reads well in a terminal too. */
export function render({ title, machine, busy, table, notes }: Report): string {
  const { adapter, drivers, processor, cores, versions, date } = machine;
  return [
    `## ${title}`,
    "",
    `${adapter}${drivers.length ? ` (${drivers.join(", ")})` : ""}, ${cores} cores of ${processor}, ${(busy * 100).toFixed(0)}% busy with others at the start; ` +
      `${Object.entries(versions)
        .map(([name, version]) => `${name} ${version}`)
        .join(", ")}; ${date}`,
    "",
    ...renderTable(table),
    "",
    ...notes.map((note) => `- ${note}`),
    "",
  ].join("\n");
}

/** Prints the report; with `keep`, also puts it into the results of its adapter in place of the bench's earlier one. */
export async function publish(report: Report, keep: boolean): Promise<void> {
  console.log(`\n${render(report)}`);
  if (report.busy > 0.1) console.warn("others keep this machine busy: the figures will not hold\n");
  if (!keep) return;
  await mkdir(results, { recursive: true });
  const json = new URL(`${report.machine.slug}.json`, results);
  const earlier = await readFile(json, "utf8").then(
    (text) => JSON.parse(text) as Record<string, Report>,
    () => ({}),
  );
  const reports: Record<string, Report> = { ...earlier, [report.bench]: report };
  const ordered = Object.fromEntries(Object.entries(reports).sort(([a], [b]) => a.localeCompare(b)));
  await writeFileAtomically(json.pathname, `${JSON.stringify(ordered, null, 1)}\n`);
  const text = `# ${report.machine.adapter}\n\n${Object.values(ordered).map(render).join("\n")}`;
  await writeFileAtomically(new URL(`${report.machine.slug}.md`, results).pathname, text);
  console.log(`kept in bench/results/${report.machine.slug}.{json,md}`);
}

function renderTable({ columns, rows }: Table): string[] {
  const cells = [columns, ...rows.map((row) => row.map(show))];
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const numeric = columns.map((_, i) => rows.every((row) => typeof row[i] === "number"));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (numeric[i] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [line(columns), line(rule), ...cells.slice(1).map(line)];
}

function show(cell: Cell): string {
  if (typeof cell === "string") return cell;
  if (Number.isInteger(cell) || Math.abs(cell) >= 1000) return cell.toFixed(0);
  return cell.toPrecision(3);
}
