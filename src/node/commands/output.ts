// Where a generation's files go: their names, a check before the long work, and writing all of them or none.
import { constants } from "node:fs";
import { access, mkdir, rm, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { ReimagenError } from "../../errors.ts";
import { writeFileAtomically } from "../files.ts";

/** The files of one generation. */
export interface OutputFiles {
  /** One a picture. */
  readonly pictures: readonly string[];
  readonly sheet: string | undefined;
}

/** What decides the names. */
export interface OutputNames {
  readonly output: string | undefined;
  readonly prompt: string;
  /** One a picture. */
  readonly seeds: readonly number[];
  readonly sheet: boolean;
}

/** Names the files: `out/<prompt>-<seed>.png`, or `output`, with the seed added where there are several. Throws `argument`. */
export function outputFiles({ output, prompt, seeds, sheet }: OutputNames): OutputFiles {
  if (output !== undefined && !/[^/\\]\.png$/i.test(output))
    throw new ReimagenError("argument", `the output must be a file name that ends in .png, got "${output}"`);
  const stem = output?.slice(0, -".png".length) ?? join("out", slug(prompt));
  const single = output !== undefined && seeds.length === 1;
  const pictures = seeds.map((seed) => (single ? output : `${stem}-${seed}.png`));
  const sheetStem = output === undefined ? `${stem}-${seeds[0]}` : stem;
  return { pictures, sheet: sheet ? `${sheetStem}.sheet.png` : undefined };
}

/** Throws `output` where a file cannot be written, as far as that can be told without writing. */
export async function checkWritable(path: string): Promise<void> {
  if ((await kindOf(path)) === "folder") throw refused(path, "a folder of that name is in the way");
  let folder = dirname(resolve(path));
  let kind = await kindOf(folder);
  while (kind === "missing" && dirname(folder) !== folder) {
    folder = dirname(folder);
    kind = await kindOf(folder);
  }
  if (kind !== "folder") throw refused(path, `${folder} is not a folder`);
  await access(folder, constants.W_OK | constants.X_OK).catch((cause: unknown) => {
    throw refused(path, `there is no permission to write in ${folder}`, cause);
  });
}

/** Writes the files, making folders as needed; when one fails, none of them stays. Throws `output`. */
export async function writeAll(files: ReadonlyMap<string, Uint8Array | string>): Promise<void> {
  const written: string[] = [];
  try {
    for (const [path, bytes] of files) {
      await mkdir(dirname(path), { recursive: true }).catch((cause: Error) => {
        throw refused(path, cause.message, cause);
      });
      await writeFileAtomically(path, bytes);
      written.push(path);
    }
  } catch (error) {
    for (const path of written) await rm(path, { force: true });
    throw error;
  }
}

function slug(prompt: string): string {
  const words =
    prompt
      .normalize("NFKD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  return words.join("-").slice(0, 60).replace(/-$/, "") || "picture";
}

async function kindOf(path: string): Promise<"file" | "folder" | "missing"> {
  const stats = await stat(path).catch(() => undefined);
  if (!stats) return "missing";
  return stats.isDirectory() ? "folder" : "file";
}

function refused(path: string, why: string, cause?: unknown): ReimagenError {
  return new ReimagenError("output", `${path} cannot be written: ${why}`, { cause });
}
