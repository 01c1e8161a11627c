// A folder that is filled file by file and can go back to what it was: for a database that others may be reading.
import { mkdir, readdir, rm, rmdir } from "node:fs/promises";
import { join } from "node:path";
import { ReimagenError } from "../../errors.ts";
import { writeFileAtomically } from "../files.ts";
import { recordFile } from "./record.ts";

/** Names that an index gives to files that it may take away again: by their contents, so that they are never overwritten. */
const ours = /^(sheet|embeddings)-[0-9a-f]{12}\.(webp|safetensors)$/;

/** A database's folder while it is written. */
export interface OutputFolder {
  has(file: string): boolean;
  /** Writes a file that was not there; a file named by its contents that is there is left. Throws `output`. */
  write(file: string, bytes: Uint8Array): Promise<void>;
  /** Writes a file in place of one that may be there. Throws `output`. */
  replace(file: string, text: string): Promise<void>;
  /** Takes away files of earlier indexes that `named` does not name. */
  finish(named: readonly string[]): Promise<void>;
  /** Takes away what `write` wrote. */
  undo(): Promise<void>;
}

/** Opens a folder, made when it is first written to. Throws `output`, also for one with files that no index made: they are not ours to replace. */
export async function openOutput(path: string): Promise<OutputFolder> {
  const there = await readdir(path).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code === "ENOENT") return undefined;
    throw new ReimagenError("output", `${path} cannot be written: ${cause.message}`, { cause });
  });
  if (there && !there.includes(recordFile) && !there.every((file) => ours.test(file)))
    throw new ReimagenError(
      "output",
      `${path} cannot be written: it holds other files, and no ${recordFile} of an earlier index`,
    );
  const files = new Set(there);
  const written: string[] = [];

  async function replace(file: string, bytes: Uint8Array | string): Promise<void> {
    await mkdir(path, { recursive: true }).catch((cause: Error) => {
      throw new ReimagenError("output", `${path} cannot be written: ${cause.message}`, { cause });
    });
    await writeFileAtomically(join(path, file), bytes);
    files.add(file);
  }

  return {
    has: (file) => files.has(file),
    replace,
    async write(file, bytes) {
      if (files.has(file)) return;
      await replace(file, bytes);
      written.push(file);
    },
    async finish(named) {
      const kept = new Set(named);
      for (const file of files) if (ours.test(file) && !kept.has(file)) await rm(join(path, file), { force: true });
    },
    async undo() {
      for (const file of written) await rm(join(path, file), { force: true });
      // Not where someone has put something into it meanwhile.
      if (!there) await rmdir(path).catch(() => undefined);
    },
  };
}
