// Folders whose files are opened by name: behind a URL, as a page is given them, and, in other rooms, on disk.

import { ReimagenError } from "../errors.ts";
import { type ByteSource, blobSource } from "./source.ts";
import { openUrlSource } from "./url-source.ts";

/** A folder of files, such as a checkpoint as its users have it. */
export interface Folder {
  /** For messages. */
  readonly name: string;
  /** A file by its path in the folder, as `unet/config.json`; undefined where there is none. Errors: aborted, checkpoint (there, but not readable). */
  open(path: string, signal?: AbortSignal): Promise<ByteSource | undefined>;
}

/** A folder behind a URL; a server that answers 404 lacks the file. */
export function urlFolder(url: string | URL): Folder {
  const base = String(url).replace(/\/*$/, "/");
  return {
    name: base.slice(0, -1),
    async open(path, signal) {
      try {
        return await openUrlSource(base + path, signal);
      } catch (error) {
        if (error instanceof ReimagenError && error.cause === 404) return undefined;
        throw error;
      }
    },
  };
}

/** The files that a page was given: a folder that was chosen or dropped whole, or loose files of one folder. */
export function filesFolder(name: string, files: Iterable<File>): Folder {
  const found = new Map<string, File>();
  // The path that a browser gives begins with the chosen folder itself.
  for (const file of files) found.set(file.webkitRelativePath?.replace(/^[^/]*\//, "") || file.name, file);
  return {
    name,
    async open(path) {
      const file = found.get(path);
      return file && blobSource(`${name}/${path}`, file);
    },
  };
}

/** A folder inside a folder. */
export function subfolder(folder: Folder, path: string): Folder {
  return { name: `${folder.name}/${path}`, open: (file, signal) => folder.open(`${path}/${file}`, signal) };
}

/** A text file whole. Errors: aborted, checkpoint (missing, not readable, or not UTF-8). */
export async function readText(folder: Folder, path: string, signal?: AbortSignal): Promise<string> {
  const file = await folder.open(path, signal);
  if (!file) throw new ReimagenError("checkpoint", `${folder.name} has no file ${path}`);
  const bytes = await file.read(0, file.size, signal);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ReimagenError("checkpoint", `${file.name} is not UTF-8 text`, { cause });
  }
}
