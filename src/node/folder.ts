// A folder on disk as a source of files.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { ReimagenError } from "../errors.ts";
import type { Folder } from "../io/folder.ts";
import { type FileSource, openFileSource } from "./file-source.ts";

/** A folder that keeps the files opened in it open until it is closed. */
export interface DiskFolder extends Folder {
  /** Closes all files; later reads fail. */
  close(): Promise<void>;
}

/** Opens a folder by its path. Errors: checkpoint (missing, or not a folder). */
export async function openFolder(path: string): Promise<DiskFolder> {
  if (!(await statOf(path))?.isDirectory())
    throw new ReimagenError("checkpoint", `${path} cannot be read: there is no such folder`);
  const opened: FileSource[] = [];
  return {
    name: path,
    async open(file) {
      const full = join(path, file);
      if (!(await statOf(full))) return undefined;
      const source = await openFileSource(full);
      opened.push(source);
      return source;
    },
    async close() {
      await Promise.all(opened.splice(0).map((file) => file.close()));
    },
  };
}

async function statOf(path: string) {
  try {
    return await stat(path);
  } catch (cause) {
    if (["ENOENT", "ENOTDIR"].includes((cause as NodeJS.ErrnoException).code ?? "")) return undefined;
    throw new ReimagenError("checkpoint", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
