// Files of a server, kept in the browser's Cache Storage for the next visit and for when there is no network.
import { ReimagenError } from "../errors.ts";

/** How files come from a server. */
export interface FetchOptions {
  readonly signal?: AbortSignal;
  /**
   * Keep them in the browser's storage, and take them from there while the server's are the same (ETag, date or size) or cannot be asked.
   * Default false.
   */
  readonly cache?: boolean;
  /** Called with the bytes of the large files that have come so far, and in all. */
  readonly onProgress?: (loaded: number, total: number) => void;
  /** Called with a sentence when the files cannot be kept, as in a private window or on a full disk: they are used all the same. */
  readonly onWarning?: (sentence: string) => void;
}

const storageName = "reimagen";

/** A whole file: the kept one if it is still right, else downloaded and kept. Errors: aborted, checkpoint (it cannot be read). */
export async function keptFile(url: string, options: FetchOptions = {}): Promise<Blob> {
  const storage = await openStorage(options);
  const [kept, current] = await Promise.all([storage?.match(url), askVersion(url, options.signal)]);
  if (kept && (!current || sameVersion(kept.headers, current))) {
    const blob = await kept.blob();
    options.onProgress?.(blob.size, blob.size);
    return blob;
  }
  const { blob, headers } = await download(url, options, current);
  if (storage) await keep(storage, url, new Response(blob, { headers }), options);
  return blob;
}

/** Keeps an answer; where that fails there is a warning. */
export async function keep(
  storage: Cache,
  key: string,
  response: Response,
  { onWarning }: FetchOptions,
): Promise<void> {
  try {
    await storage.put(key, response);
  } catch (cause) {
    const why = (cause as Error).name === "QuotaExceededError" ? "its storage is full" : (cause as Error).message;
    onWarning?.(`This browser could not keep the files for the next visit: ${why}.`);
  }
}

/** What identifies a version of a file of so many bytes. */
export function versionOf(headers: Headers, size: number): Headers {
  const version = new Headers({ "content-length": String(size) });
  for (const name of ["etag", "last-modified", "content-type"]) {
    const value = headers.get(name);
    if (value !== null) version.set(name, value);
  }
  return version;
}

/** A whole file from the server. Errors: aborted, checkpoint. */
export async function fetchFile(url: string, options: FetchOptions = {}): Promise<Blob> {
  return (await download(url, options)).blob;
}

/** Bytes of all files that are kept. */
export async function keptBytes(): Promise<number> {
  const storage = await openStorage({});
  const responses = (await storage?.matchAll()) ?? [];
  return responses.reduce((sum, { headers }) => sum + Number(headers.get("content-length")), 0);
}

/** Drops all files that are kept. */
export async function forgetFiles(): Promise<void> {
  if (globalThis.caches) await caches.delete(storageName);
}

/** Where files are kept; undefined, with a warning, where the browser keeps nothing. */
export async function openStorage({ onWarning }: FetchOptions): Promise<Cache | undefined> {
  try {
    // Missing where the page does not come over https; refused in some private windows.
    return await caches.open(storageName);
  } catch {
    onWarning?.("This browser gives the page no storage: the files are downloaded again at the next visit.");
    return undefined;
  }
}

/** What the server says of a file, without sending it; undefined where it cannot be asked, or has none. Errors: aborted. */
export async function askVersion(url: string, signal?: AbortSignal): Promise<Headers | undefined> {
  try {
    const response = await fetch(url, { method: "HEAD", cache: "no-cache", ...(signal && { signal }) });
    return response.ok ? response.headers : undefined;
  } catch (cause) {
    if (signal?.aborted) throw cannotRead(url, cause, signal);
    return undefined;
  }
}

/** Whether a kept file is the server's. */
export function sameVersion(kept: Headers, current: Headers): boolean {
  const tag = current.get("etag");
  if (tag !== null) return tag === kept.get("etag");
  // A compressed answer's length is not the file's.
  const names = current.has("content-encoding") ? ["last-modified"] : ["last-modified", "content-length"];
  return names.every((name) => !current.has(name) || current.get(name) === kept.get(name));
}

async function download(
  url: string,
  { signal, onProgress }: FetchOptions,
  announced?: Headers,
): Promise<{ blob: Blob; headers: Headers }> {
  const total = announced && sizeOf(announced);
  if (total !== undefined) onProgress?.(0, total);
  try {
    const response = await fetch(url, { cache: "no-cache", ...(signal && { signal }) });
    if (!response.ok)
      throw new ReimagenError("checkpoint", `${url} cannot be read: the server answers ${response.status}`);
    const counted = response.body?.pipeThrough(counter(sizeOf(response.headers) ?? total, onProgress));
    const blob = await new Response(counted ?? null).blob();
    return { blob, headers: versionOf(response.headers, blob.size) };
  } catch (cause) {
    throw cause instanceof ReimagenError ? cause : cannotRead(url, cause, signal);
  }
}

/** Bytes of the file, where they are told. */
export function sizeOf(headers: Headers): number | undefined {
  const length = headers.get("content-length");
  return length === null || headers.has("content-encoding") ? undefined : Number(length);
}

/** Passes bytes on and counts them; where the size was not announced, what has come counts as all. */
function counter(
  total: number | undefined,
  onProgress: FetchOptions["onProgress"],
): TransformStream<Uint8Array, Uint8Array> {
  let loaded = 0;
  return new TransformStream({
    transform(chunk, controller) {
      loaded += chunk.length;
      onProgress?.(loaded, Math.max(total ?? 0, loaded));
      controller.enqueue(chunk);
    },
  });
}

function cannotRead(url: string, cause: unknown, signal?: AbortSignal): ReimagenError {
  if (signal?.aborted) return new ReimagenError("aborted", `reading ${url} was aborted`, { cause: signal.reason });
  const why = cause instanceof Error ? cause.message : String(cause);
  return new ReimagenError("checkpoint", `${url} cannot be read: ${why}`, { cause });
}
