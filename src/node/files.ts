// Writing files so that nobody ever sees half of one.

import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { basename, dirname, extname, join } from "node:path";
import { ReimagenError } from "../errors.ts";

/** Writes a whole file or nothing: to a temporary file beside it, which then takes its name. Errors: output. */
export async function writeFileAtomically(path: string, bytes: Uint8Array | string): Promise<void> {
  const extension = extname(path);
  const stem = basename(path, extension);
  const temporary = join(dirname(path), `${stem}.${randomUUID().slice(0, 8)}${extension}.tmp`);
  try {
    const file = await open(temporary, "wx");
    try {
      await file.writeFile(bytes);
      // Without this a crash of the machine could leave the new name on an empty file.
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => undefined);
    throw new ReimagenError("output", `${path} cannot be written: ${reason(path, cause)}`, { cause });
  }
}

function reason(path: string, cause: unknown): string {
  if (!(cause instanceof Error)) return String(cause);
  switch ("code" in cause ? cause.code : undefined) {
    case "ENOENT":
      return `the folder ${dirname(path)} does not exist`;
    case "ENOTDIR":
      return `${dirname(path)} is not a folder`;
    case "EISDIR":
      return "a folder of that name is in the way";
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return `there is no permission to write in ${dirname(path)}`;
    case "ENOSPC":
      return "the disk is full";
    default:
      return cause.message;
  }
}
