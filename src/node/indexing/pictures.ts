// Which files of a folder are pictures, and which of them have changed since they were last indexed.
import { createHash } from "node:crypto";
import { readdir, readFile, stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { ReimagenError } from "../../errors.ts";

/** A picture file, as an index remembers it. */
export interface PictureFile {
  /** In the folder, with "/" between names. */
  readonly path: string;
  readonly bytes: number;
  /** Milliseconds of its last change. */
  readonly changed: number;
  /** SHA-256 of what is in it, hexadecimal. */
  readonly digest: string;
}

const endings = /\.(png|jpe?g|webp|avif|gif|tiff?|svg)$/i;

/** All picture files in a folder and below by their endings, sorted by path; hidden ones and the folder `besides` are left out. Throws `database`. */
export async function findPictures(folder: string, besides: string): Promise<string[]> {
  const found: string[] = [];
  async function walk(inside: string): Promise<void> {
    const entries = await readdir(join(folder, inside), { withFileTypes: true }).catch((cause: unknown) => {
      throw new ReimagenError("database", `${join(folder, inside)} cannot be read: ${reason(cause)}`, { cause });
    });
    for (const entry of entries) {
      const path = inside ? `${inside}/${entry.name}` : entry.name;
      if (entry.name.startsWith(".")) continue;
      if (entry.isDirectory()) {
        if (resolve(folder, path) !== resolve(besides)) await walk(path);
      } else if (endings.test(entry.name)) found.push(path);
    }
  }
  await walk("");
  // By code units, so that the order is the same on every system.
  return found.sort((a, b) => (a < b ? -1 : 1));
}

/** Looks at a file; where size and time are those of `before`, it is taken to be unchanged and not read. Throws `picture`. */
export async function identify(folder: string, path: string, before: PictureFile | undefined): Promise<PictureFile> {
  try {
    const { size: bytes, mtimeMs: changed } = await stat(join(folder, path));
    if (before && before.bytes === bytes && before.changed === changed) return before;
    const digest = digestOf(await readFile(join(folder, path)));
    return { path, bytes, changed, digest };
  } catch (cause) {
    throw new ReimagenError("picture", `${join(folder, path)} cannot be read: ${reason(cause)}`, { cause });
  }
}

/** SHA-256, hexadecimal. */
export function digestOf(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function reason(cause: unknown): string {
  const code = cause instanceof Error && "code" in cause ? cause.code : undefined;
  if (code === "ENOENT") return "there is no such folder or file";
  return code === "ENOTDIR" ? "it is not a folder" : (cause as Error).message;
}
