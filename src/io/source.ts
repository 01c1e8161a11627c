// Random access to bytes that may be large: in memory, in a Blob, and, in other rooms, in a file or behind a URL.

import { ReimagenError } from "../errors.ts";

/** Bytes that can be read a range at a time. */
export interface ByteSource {
  /** For messages: usually the file's name. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /** Exactly `length` bytes from `offset`; they may share the source's memory. Errors: argument, aborted, checkpoint. */
  read(offset: number, length: number, signal?: AbortSignal): Promise<Uint8Array>;
  /** Lets go of what it holds open, where it does; later reads fail. */
  close?(): Promise<void>;
}

/** A source over bytes in memory; reads are views, not copies. */
export function bytesSource(name: string, bytes: Uint8Array): ByteSource {
  const { length: size } = bytes;
  return {
    name,
    size,
    async read(offset, length, signal) {
      checkRead({ name, size }, offset, length, signal);
      return bytes.subarray(offset, offset + length);
    },
  };
}

/** A source over a Blob or a File that a page was given; only the ranges asked for are read. */
export function blobSource(name: string, blob: Blob): ByteSource {
  const { size } = blob;
  return {
    name,
    size,
    async read(offset, length, signal) {
      checkRead({ name, size }, offset, length, signal);
      let buffer: ArrayBuffer;
      try {
        buffer = await blob.slice(offset, offset + length).arrayBuffer();
      } catch (cause) {
        throw new ReimagenError("checkpoint", `${name}: ${length} bytes at ${offset} cannot be read`, { cause });
      }
      checkNotAborted(name, signal);
      return new Uint8Array(buffer);
    },
  };
}

/** Refuses a read outside the source, or after an abort. Errors: argument, aborted. */
export function checkRead(
  source: Pick<ByteSource, "name" | "size">,
  offset: number,
  length: number,
  signal?: AbortSignal,
): void {
  checkNotAborted(source.name, signal);
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (!whole || offset < 0 || length < 0 || offset + length > source.size) {
    throw new ReimagenError(
      "argument",
      `${source.name}: a read of ${length} bytes at ${offset} lies outside its ${source.size} bytes`,
    );
  }
}

/** Throws once the caller has given up on a read. Errors: aborted. */
export function checkNotAborted(name: string, signal?: AbortSignal): void {
  if (signal?.aborted) {
    throw new ReimagenError("aborted", `reading ${name} was aborted`, { cause: signal.reason });
  }
}
