// A byte source over a URL, for Node and the browser: ranges where the server offers them, else one download of the whole file.

import { ReimagenError } from "../errors.ts";
import { blockBytes, blockSource } from "./block-source.ts";
import { type ByteSource, bytesSource, checkNotAborted } from "./source.ts";

/** A source over a URL. */
export interface UrlSource extends ByteSource {
  /** The version that the server gives the file (ETag), where it gives one. */
  readonly tag: string | null;
}

/**
 * Opens a file by its URL. Small reads fetch and keep whole blocks, large ones their own range; a server without ranges, or one that
 * hides the file's size from other origins, sends the whole file once. Errors: aborted, checkpoint (no answer, or not the file; the
 * error's cause is the status of an answer that refuses).
 */
export async function openUrlSource(url: string | URL, signal?: AbortSignal): Promise<UrlSource> {
  const address = String(url);
  // The rest of an address may be a secret, such as a signature.
  const name = address.replace(/[?#].*$/s, "");
  const opening = await request(name, address, { offset: 0, length: blockBytes }, signal);
  const size = sizeOf(opening);
  const tag = opening.headers.get("etag");
  if (opening.status !== 206) return { ...bytesSource(name, await bodyOf(name, opening, signal)), tag };
  if (size === undefined) {
    await opening.body?.cancel();
    return { ...bytesSource(name, await bodyOf(name, await request(name, address, undefined, signal), signal)), tag };
  }
  const file = { name, size, tag };
  const first = await rangeOf(file, opening, { offset: 0, length: Math.min(blockBytes, size) }, signal);
  const fetchRange: ByteSource["read"] = async (offset, length, signal) => {
    const range = { offset, length };
    return rangeOf(file, await request(name, address, range, signal), range, signal);
  };
  return { ...blockSource(file, fetchRange, first), tag };
}

interface Range {
  readonly offset: number;
  readonly length: number;
}

async function request(name: string, address: string, range?: Range, signal?: AbortSignal): Promise<Response> {
  checkNotAborted(name, signal);
  const headers = range && { Range: `bytes=${range.offset}-${range.offset + range.length - 1}` };
  let response: Response;
  try {
    response = await fetch(address, { ...(headers && { headers }), ...(signal && { signal }) });
  } catch (cause) {
    throw cannotRead(name, cause, signal);
  }
  if (response.ok) return response;
  await response.body?.cancel();
  throw new ReimagenError("checkpoint", `${name} cannot be read: the server answers ${response.status}`, {
    cause: response.status,
  });
}

/** The file's whole size as a partial answer tells it; undefined where it does not, or may not. */
function sizeOf(response: Response): number | undefined {
  const total = response.headers.get("content-range")?.match(/\/(\d+)$/)?.[1];
  return total === undefined ? undefined : Number(total);
}

async function rangeOf(
  file: { readonly name: string; readonly size: number; readonly tag: string | null },
  response: Response,
  { offset, length }: Range,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const { name, size, tag } = file;
  if (response.status !== 206 || sizeOf(response) !== size || response.headers.get("etag") !== tag) {
    await response.body?.cancel();
    throw new ReimagenError("checkpoint", `${name} has changed on the server while being read`);
  }
  const bytes = await bodyOf(name, response, signal);
  if (bytes.length !== length)
    throw new ReimagenError(
      "checkpoint",
      `${name}: ${length} bytes at ${offset} were asked for, and ${bytes.length} came`,
    );
  return bytes;
}

async function bodyOf(name: string, response: Response, signal?: AbortSignal): Promise<Uint8Array> {
  try {
    return new Uint8Array(await response.arrayBuffer());
  } catch (cause) {
    throw cannotRead(name, cause, signal);
  }
}

function cannotRead(name: string, cause: unknown, signal?: AbortSignal): ReimagenError {
  if (signal?.aborted) return new ReimagenError("aborted", `reading ${name} was aborted`, { cause: signal.reason });
  // Node hides what happened, such as a refused connection, one level down.
  const inner = cause instanceof Error && cause.cause instanceof Error ? cause.cause : cause;
  const why = inner instanceof Error ? inner.message : String(inner);
  return new ReimagenError("checkpoint", `${name} cannot be read: ${why}`, { cause });
}
