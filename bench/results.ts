// Where findings go: the terminal, a JSON file, SVG files, and `bench/results/`.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { writeFileAtomically } from "../src/node/files.ts";
import { type Plot, type Report, type Reports, render } from "./lab/report.ts";

/** Reads what a run wrote by `--json` or keeps in `bench/results/`. Throws when it is not that, as a file of an earlier form. */
export async function readReports(path: string): Promise<Reports> {
  const reports = parse(path, await readFile(path, "utf8"));
  if (typeof reports !== "object" || reports === null || Array.isArray(reports))
    throw new Error(`${path} does not hold reports by family`);
  for (const [family, report] of Object.entries(reports))
    if (report?.family !== family || !Array.isArray(report.tables))
      throw new Error(`${path}: what it has under ${family} is not a report of that family`);
  return reports as Reports;
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new Error(`${path} is not JSON`, { cause });
  }
}

/** Writes reports by family as JSON. */
export async function writeReports(path: string, reports: readonly Report[]): Promise<void> {
  const byFamily = Object.fromEntries(reports.map((report) => [report.family, report]));
  await writeFileAtomically(path, `${JSON.stringify(byFamily, null, 1)}\n`);
}

/** Writes plots as `<adapter>.<name>.svg` into a folder; returns their paths. */
export async function writePlots(folder: string, slug: string, plots: readonly Plot[]): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  return Promise.all(
    plots.map(async ({ name, svg }) => {
      const path = join(folder, `${slug}.${name}.svg`);
      await writeFile(path, svg);
      return path;
    }),
  );
}

/** Puts reports and plots into the results of their adapter, in place of the families' earlier ones; `known` families stay. */
export async function keep(
  folder: string,
  reports: readonly Report[],
  plots: readonly Plot[],
  known: readonly string[],
): Promise<void> {
  const { slug, adapter } = reports[0]!.machine;
  const json = join(folder, `${slug}.json`);
  const earlier = await readReports(json).catch((error: NodeJS.ErrnoException): Reports => {
    // A file that cannot be understood may hold what nobody can measure again.
    if (error.code === "ENOENT") return {};
    throw error;
  });
  const all = new Map([...Object.entries(earlier), ...reports.map((report) => [report.family, report] as const)]);
  const ordered = known.flatMap((family) => all.get(family) ?? []);
  await mkdir(folder, { recursive: true });
  await writeReports(json, ordered);
  await writePlots(folder, slug, plots);
  await writeFileAtomically(join(folder, `${slug}.md`), `# ${adapter}\n\n${ordered.map(render).join("\n")}`);
  console.log(`kept in bench/results/${slug}.{json,md}`);
}
