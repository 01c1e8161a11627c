// A byte source over a file on disk, for Node.

import { type FileHandle, open } from "node:fs/promises";
import { ReimagenError } from "../errors.ts";
import { type ByteSource, checkNotAborted, checkRead } from "../io/source.ts";

/** A byte source that holds a file open until it is closed. */
export interface FileSource extends ByteSource {
  /** Closes the file; later reads fail. */
  close(): Promise<void>;
}

// Node refuses reads of 2 GiB and more; smaller pieces also let an abort through.
const longestRead = 2 ** 28;

/** Opens a weights file for reading. Errors: checkpoint (missing, a directory, or not readable). */
export async function openFileSource(path: string): Promise<FileSource> {
  let file: FileHandle;
  try {
    file = await open(path, "r");
  } catch (cause) {
    throw cannotRead(path, cause);
  }
  const stats = await file.stat();
  if (!stats.isFile()) {
    await file.close();
    throw new ReimagenError("checkpoint", `${path} cannot be read: it is not a file`);
  }
  const { size } = stats;
  return {
    name: path,
    size,
    async read(offset, length, signal) {
      checkRead({ name: path, size }, offset, length, signal);
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length; ) {
        const piece = Math.min(longestRead, length - done);
        const { bytesRead } = await file.read(bytes, done, piece, offset + done).catch((cause: unknown) => {
          throw cannotRead(path, cause);
        });
        checkNotAborted(path, signal);
        if (bytesRead === 0) {
          throw new ReimagenError("checkpoint", `${path} has become shorter than its ${size} bytes while being read`);
        }
        done += bytesRead;
      }
      return bytes;
    },
    close: () => file.close(),
  };
}

function cannotRead(path: string, cause: unknown): ReimagenError {
  const missing = cause instanceof Error && "code" in cause && cause.code === "ENOENT";
  const why = missing ? "there is no such file" : cause instanceof Error ? cause.message : String(cause);
  return new ReimagenError("checkpoint", `${path} cannot be read: ${why}`, { cause });
}
