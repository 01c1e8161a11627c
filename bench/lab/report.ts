// What a family found, as data, and as Markdown that reads well in a terminal too.
import type { Spread } from "./statistics.ts";

/** A cell of a table; numbers are rounded when they are shown, not when they are kept. */
export type Cell = string | number;

/** Rows under named columns. */
export interface Table {
  /** What the rows are, where a report has several tables. */
  readonly caption?: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A measured figure that another run can be compared with. */
export interface Measurement extends Spread {
  /** Unique in its family, and the same in every run. */
  readonly name: string;
  readonly unit: string;
  /** Which way is progress. */
  readonly better: "less" | "more";
}

/** A picture of the figures. */
export interface Plot {
  /** A file's name without its ending. */
  readonly name: string;
  readonly svg: string;
}

/** What one family found. */
export interface Section {
  readonly title: string;
  readonly tables: readonly Table[];
  /** What the figures mean, and what follows from them. */
  readonly notes: readonly string[];
  readonly measurements: readonly Measurement[];
  readonly plots?: readonly Plot[];
  /** Set where something must not be: a wrong kernel, memory that grows. */
  readonly failure?: string;
}

/** What a measurement was taken on: without it a figure means nothing later. */
export interface Machine {
  /** Adapter with its driver's version, as Dawn describes it. */
  readonly adapter: string;
  /** Name of the adapter that can be a file's. */
  readonly slug: string;
  /** Vulkan drivers loaded into the process; empty where that cannot be told. */
  readonly drivers: readonly string[];
  readonly processor: string;
  readonly cores: number;
  readonly versions: Readonly<Record<string, string>>;
  readonly date: string;
}

/** One family's findings on one machine. */
export interface Report extends Omit<Section, "plots"> {
  readonly family: string;
  readonly machine: Machine;
  /** Share of the processors' time that others took before the family began; absent where it cannot be told. */
  readonly busy?: number;
}

/** What a run writes and `compare` reads: reports by family. */
export type Reports = Readonly<Record<string, Report>>;

/** Name of an adapter that can be a file's. */
export function slugOf(name: string): string {
  return name.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "");
}

/** The report as Markdown. */
export function render({ title, machine, busy, tables, notes }: Report): string {
  const { adapter, drivers, processor, cores, versions, date } = machine;
  const load = busy === undefined ? "" : `, ${(busy * 100).toFixed(0)}% busy with others at the start`;
  const software = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return [
    `## ${title}`,
    "",
    `${adapter}${drivers.length ? ` (${drivers.join(", ")})` : ""}, ${cores} cores of ${processor}${load}; ${software.join(", ")}; ${date}`,
    "",
    ...tables.flatMap((table) => [...(table.caption ? [`${table.caption}:`, ""] : []), ...renderTable(table), ""]),
    ...notes.map((note) => `- ${note}`),
    "",
  ].join("\n");
}

/** `12.3-14.5`, the middle half. */
export function middleHalf({ low, high }: Spread): string {
  return `${show(low)}-${show(high)}`;
}

/** A cell as text: three significant digits, or a whole number. */
export function show(cell: Cell): string {
  if (typeof cell === "string") return cell;
  if (Number.isInteger(cell) || Math.abs(cell) >= 1000) return cell.toFixed(0);
  return Math.abs(cell) < 1e-3 ? cell.toExponential(1) : cell.toPrecision(3);
}

/** A table as lines of Markdown. */
export function renderTable({ columns, rows }: Table): string[] {
  const cells = [columns, ...rows.map((row) => row.map(show))];
  const widths = columns.map((_, i) => Math.max(3, ...cells.map((row) => row[i]!.length)));
  const numeric = columns.map((_, i) => rows.some((row) => typeof row[i] === "number"));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (numeric[i] ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!))).join(" | ")} |`;
  const rule = widths.map((width, i) => (numeric[i] ? `${"-".repeat(width - 1)}:` : "-".repeat(width)));
  return [line(columns), line(rule), ...cells.slice(1).map(line)];
}
