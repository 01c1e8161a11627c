// A checkpoint folder on a server: of large files only the ranges that are read are fetched, and kept for the next visit.
import { ReimagenError } from "../errors.ts";
import { blockBytes, blockSource } from "../io/block-source.ts";
import { type Folder, urlFolder } from "../io/folder.ts";
import { type ByteSource, blobSource } from "../io/source.ts";
import { openUrlSource, type UrlSource } from "../io/url-source.ts";
import {
  askVersion,
  type FetchOptions,
  keep,
  keptFile,
  openStorage,
  sameVersion,
  sizeOf,
  versionOf,
} from "./storage.ts";

/** How a folder's files come. */
export type FolderOptions = Pick<FetchOptions, "cache" | "onWarning">;

/**
 * A folder on a server. With `cache` what is read of its files is kept in the browser's storage, and taken from there while the server's are the
 * same (ETag, date or size) or cannot be asked; a file of gigabytes is never in memory whole.
 */
export function fetchFolder(url: string | URL, options: FolderOptions = {}): Folder {
  const direct = urlFolder(url);
  if (!options.cache) return direct;
  return {
    name: direct.name,
    async open(path, signal) {
      const storage = await openStorage(options);
      return storage ? openKept(storage, direct, path, options, signal) : direct.open(path, signal);
    },
  };
}

async function openKept(
  storage: Cache,
  direct: Folder,
  path: string,
  options: FolderOptions,
  signal?: AbortSignal,
): Promise<ByteSource | undefined> {
  const url = new URL(`${direct.name}/${path}`, location.href).href;
  const whole = async () => blobSource(url, await keptFile(url, { ...options, ...(signal && { signal }) }));
  const [record, current] = await Promise.all([storage.match(recordOf(url)), askVersion(url, signal)]);
  if (!current) {
    // Without a network there is no other way to tell that the server has no such file.
    if (record?.status === missing) return undefined;
    if (record) return keptRanges(storage, url, record.headers, options);
    if (await storage.match(url)) return whole();
    const source = await direct.open(path, signal);
    if (!source) await keep(storage, recordOf(url), new Response(null, { status: missing }), options);
    return source;
  }
  const size = sizeOf(current);
  if (size === undefined || size <= blockBytes) return whole();
  if (record?.ok && sameVersion(versionOf(record.headers, Number(record.headers.get(sizeHeader))), current))
    return keptRanges(storage, url, record.headers, options);
  await forgetRanges(storage, url);
  const version = versionOf(current, size);
  version.set(sizeHeader, String(size));
  // What counts is what is kept.
  version.delete("content-length");
  await keep(storage, recordOf(url), new Response(null, { headers: version }), options);
  return keptRanges(storage, url, version, options);
}

/** Address under which is kept which version of a file the kept ranges are of, or that the server has none. */
const recordOf = (url: string) => `${url}?reimagen-ranges`;
const missing = 404;
const sizeHeader = "x-reimagen-size";

function keptRanges(storage: Cache, url: string, version: Headers, options: FolderOptions): ByteSource {
  const size = Number(version.get(sizeHeader));
  let server: Promise<UrlSource> | undefined;
  const open = (signal?: AbortSignal) => {
    server ??= openUrlSource(url, signal).catch((error: unknown) => {
      // A failed attempt is none for the next read.
      server = undefined;
      throw error;
    });
    return server;
  };
  return blockSource({ name: url, size }, async (offset, length, signal) => {
    const key = `${url}?${rangeName}=${offset}-${offset + length}`;
    const kept = await storage.match(key);
    if (kept) return new Uint8Array(await kept.arrayBuffer());
    const opened = await open(signal);
    if (opened.size !== size || opened.tag !== version.get("etag"))
      throw new ReimagenError("checkpoint", `${url} has changed on the server while being read`);
    const bytes = await opened.read(offset, length, signal);
    const headers = { "content-length": String(length) };
    await keep(storage, key, new Response(bytes as Uint8Array<ArrayBuffer>, { headers }), options);
    return bytes;
  });
}

const rangeName = "reimagen-range";

async function forgetRanges(storage: Cache, url: string): Promise<void> {
  for (const request of await storage.keys())
    if (request.url.startsWith(`${url}?${rangeName}=`)) await storage.delete(request);
}
