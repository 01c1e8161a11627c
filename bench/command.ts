// The bench's command line, for the repository and for the pack alike: families, options, output.
import { parseArgs } from "node:util";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { ReimagenError } from "../src/errors.ts";
import { compare, comparisonTable } from "./lab/compare.ts";
import { type Family, families as portable } from "./lab/families.ts";
import { createLab, type Host, type Lab } from "./lab/lab.ts";
import { type Machine, type Plot, type Report, render, renderTable } from "./lab/report.ts";
import { busyShare } from "./machine.ts";
import { keep, readReports, writePlots, writeReports } from "./results.ts";

/** The system's own Vulkan driver (VK_DRIVER_FILES says which), or SwiftShader from npm. */
export type BenchAdapter = "gpu" | "software";

/** A host in Node, and what it stands on. */
export interface NodeHost extends Host {
  readonly machine: Machine;
}

/** What the lab and the command line give a family that needs Node. */
export interface NodeLab extends Lab {
  readonly machine: Machine;
  readonly adapter: BenchAdapter;
}

/** A family that needs Node. */
export interface NodeFamily {
  readonly about: string;
  readonly run: (lab: NodeLab) => ReturnType<Family["run"]>;
}

/** Where the command runs. */
export interface Place {
  /** Adapter when none is named. */
  readonly adapter: BenchAdapter;
  /** Families beyond the portable ones. */
  readonly families: Readonly<Record<string, NodeFamily>>;
  /** Which run when none is named. */
  readonly usual: readonly string[];
  readonly openHost: (adapter: BenchAdapter, say: Host["say"]) => Promise<NodeHost>;
  /** Folder of kept results; absent where nothing is kept. */
  readonly results?: string;
}

const options = {
  adapter: { type: "string" },
  filter: { type: "string", default: "" },
  repeats: { type: "string", default: "9" },
  budget: { type: "string", default: "1500" },
  large: { type: "boolean", default: false },
  json: { type: "string" },
  svg: { type: "string" },
  compare: { type: "boolean", default: false },
  out: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

/** Runs what the arguments ask for, then ends the process; its exit code tells whether something was wrong. */
export async function runCommand(place: Place, argv: readonly string[]): Promise<never> {
  try {
    await run(place, argv);
  } catch (error) {
    // What is known to go wrong is one sentence; the rest wants its stack.
    console.error(error instanceof ReimagenError ? error.message : error);
    process.exitCode = 1;
  }
  // Dawn would keep it alive.
  process.exit();
}

async function run(place: Place, argv: readonly string[]): Promise<void> {
  const { values, positionals } = parse(argv);
  if (values.help) return console.log(usage(place));
  if (values.compare) return printComparison(positionals);
  const all: Readonly<Record<string, NodeFamily>> = { ...portable, ...place.families };
  const names = positionals.length ? positionals : place.usual;
  for (const name of names)
    if (!all[name])
      throw new ReimagenError("argument", `there is no family ${name}; there are ${Object.keys(all).join(", ")}`);
  if (values.out && !place.results) throw new ReimagenError("argument", "--out: nothing is kept here; use --json");
  const adapter = benchAdapter(values.adapter ?? place.adapter);
  // Families in processes of their own leave this one's device idle.
  const say = (line: string) => console.error(`  ${line}`);
  const busy = await busyShare();
  const host = await place.openHost(adapter, say);
  const sampling = {
    repeats: positiveInteger("--repeats", values.repeats),
    budget: positiveInteger("--budget", values.budget),
  };
  const lab = createLab(
    { heap: heapAfterCollection(), ...host },
    { ...sampling, filter: values.filter, large: values.large },
  );
  console.error(`${host.machine.adapter}: ${names.join(", ")}`);
  if (busy > 0.1) console.error(`others keep this machine ${(busy * 100).toFixed(0)}% busy: the figures will not hold`);
  const reports: Report[] = [];
  const plots: Plot[] = [];
  for (const family of names) {
    const section = await all[family]!.run({ ...lab, machine: host.machine, adapter });
    const { plots: drawn = [], ...findings } = section;
    const report: Report = { family, machine: host.machine, busy, ...findings };
    reports.push(report);
    plots.push(...drawn);
    console.log(`\n${render(report)}`);
    if (section.failure) {
      console.error(`${family}: ${section.failure}`);
      process.exitCode = 1;
    }
    if (values.json) await writeReports(values.json, reports);
  }
  if (values.svg)
    for (const path of await writePlots(values.svg, host.machine.slug, plots)) console.error(`drawn: ${path}`);
  if (values.out) await keep(place.results!, reports, plots, Object.keys(all));
  host.gpu.dispose();
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({ args: [...argv], options, allowPositionals: true });
  } catch (cause) {
    throw new ReimagenError("argument", `${(cause as Error).message}; --help lists what there is`, { cause });
  }
}

/** Reads `--adapter`'s value. */
function benchAdapter(name: string): BenchAdapter {
  if (name !== "gpu" && name !== "software")
    throw new ReimagenError("argument", `--adapter must be gpu or software, got ${name}`);
  return name;
}

function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1)
    throw new ReimagenError("argument", `${option} must be a positive integer, got ${text}`);
  return value;
}

async function printComparison(files: readonly string[]): Promise<void> {
  if (files.length !== 2) throw new ReimagenError("argument", `--compare takes two files, got ${files.length}`);
  const read = (file: string) =>
    readReports(file).catch((cause: Error) => {
      throw new ReimagenError("argument", `--compare: ${cause.message}`, { cause });
    });
  const comparison = compare(await read(files[0]!), await read(files[1]!));
  const { changes, unchanged, onlyBefore, onlyAfter } = comparison;
  if (changes.length) console.log(`${renderTable(comparisonTable(comparison)).join("\n")}\n`);
  console.log(`${changes.length} figures changed beyond noise, ${unchanged} did not.`);
  if (onlyBefore.length) console.log(`Only in ${files[0]}: ${onlyBefore.length}, such as ${onlyBefore[0]}.`);
  if (onlyAfter.length) console.log(`Only in ${files[1]}: ${onlyAfter.length}, such as ${onlyAfter[0]}.`);
}

/** Asks for the engine's collector, which Node hides, and returns what is left after it. */
function heapAfterCollection(): () => number {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  return () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
}

function usage({ families, usual, adapter, results }: Place): string {
  const all = { ...portable, ...families };
  const width = Math.max(...Object.keys(all).map((name) => name.length));
  return [
    "bench [family ...] [options]",
    "",
    ...Object.entries(all).map(([name, { about }]) => `  ${name.padEnd(width)}  ${about}`),
    "",
    `Without a name: ${usual.join(", ")}.`,
    "",
    `  --adapter gpu|software  the system's Vulkan driver (VK_DRIVER_FILES says which), or SwiftShader from npm; here: ${adapter}`,
    "  --filter TEXT           only cases whose name contains it",
    "  --repeats N             batches timed for a figure (9)",
    "  --budget MS             what they may take together (1500); three are always taken",
    "  --large                 on a software adapter also what takes minutes",
    "  --json FILE             write the findings",
    "  --svg FOLDER            write the plots",
    "  --compare A B           what changed beyond noise between two such files; measures nothing",
    ...(results ? ["  --out                   keep the findings in bench/results"] : []),
  ].join("\n");
}
