// Runs the command line as its users do: another process, in a folder of its own.
import { spawn } from "node:child_process";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const tsx = pathToFileURL(createRequire(import.meta.url).resolve("tsx")).href;
const [loader, cli] = ["wgsl-loader.mjs", "cli.ts"].map((file) =>
  fileURLToPath(new URL(`../../src/node/${file}`, import.meta.url)),
);

/** How a process ended, and what it said. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** What may differ from run to run. */
export interface RunOptions {
  /** Working folder. */
  readonly folder: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with the process's id. */
  readonly onStart?: (id: number) => void;
}

/** Runs `reimagen` with these arguments; neither stdout nor stderr is a terminal. */
export function reimagen(args: readonly string[], { folder, env, onStart }: RunOptions): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--import", tsx, "--import", loader!, cli!, ...args], {
      cwd: folder,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = { stdout: "", stderr: "" };
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        said[stream] += text;
      });
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...said }));
    if (child.pid !== undefined) onStart?.(child.pid);
  });
}

/** A new empty folder. */
export function newFolder(): Promise<string> {
  return mkdtemp(join(tmpdir(), "reimagen-"));
}

/** Names of all files in a folder and below. */
export async function filesIn(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
}

/** Removes a folder. */
export function remove(folder: string): Promise<void> {
  return rm(folder, { recursive: true, force: true });
}
