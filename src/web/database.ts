// Opens a neighbour database behind a URL.
import { ReimagenError } from "../errors.ts";
import type { Picture } from "../io/picture.ts";
import { createDatabase, type NeighborDatabase } from "../retrieval/database.ts";
import { type FetchOptions, fetchFile, keptFile } from "./storage.ts";

/** A neighbour database whose sheets come from a server, each when it is first needed. */
export interface FetchedDatabase extends NeighborDatabase {
  /** Downloads all sheets ahead, so that every picture is at hand, also offline; nothing is decoded yet. Errors: aborted, database. */
  download(onProgress?: FetchOptions["onProgress"]): Promise<void>;
}

/** Reads a database's index: `database.json` in a folder on a server, which `search` needs alone. Errors: aborted, database. */
export async function fetchDatabase(folder: string | URL, options: FetchOptions = {}): Promise<FetchedDatabase> {
  const base = String(folder).replace(/\/*$/, "/");
  const { onProgress: _, ...quiet } = options;
  const index = await fetchBlob(`${base}database.json`, quiet);
  const sheets = new Map<string, Promise<Blob>>();

  function sheet(file: string, onProgress?: FetchOptions["onProgress"]): Promise<Blob> {
    let blob = sheets.get(file);
    if (!blob) {
      const url = new URL(encodeURIComponent(file), new URL(base, location.href)).href;
      blob = fetchBlob(url, { ...quiet, ...(onProgress && { onProgress }) });
      sheets.set(file, blob);
      // A failure is not kept: the next request may find the sheet.
      blob.catch(() => sheets.delete(file));
    }
    return blob;
  }

  const database = createDatabase(`${base}database.json`, await index.text(), async (file) =>
    decodeSheet(`${base}${file}`, await sheet(file)),
  );

  async function download(onProgress?: FetchOptions["onProgress"]): Promise<void> {
    const parts = database.sheets.map(() => ({ loaded: 0, total: 0 }));
    const sum = (key: "loaded" | "total") => parts.reduce((all, part) => all + part[key], 0);
    const report = (i: number, loaded: number, total: number) => {
      parts[i] = { loaded, total };
      onProgress?.(sum("loaded"), sum("total"));
    };
    const downloads = database.sheets.map(async (file, i) => {
      const { size } = await sheet(file, (loaded, total) => report(i, loaded, total));
      report(i, size, size);
    });
    await Promise.all(downloads);
  }

  return { ...database, download };
}

async function fetchBlob(url: string, options: FetchOptions): Promise<Blob> {
  try {
    return await (options.cache ? keptFile(url, options) : fetchFile(url, options));
  } catch (cause) {
    if (!(cause instanceof ReimagenError) || cause.code === "aborted") throw cause;
    throw new ReimagenError("database", cause.message, { cause });
  }
}

async function decodeSheet(name: string, blob: Blob): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    bitmap = await createImageBitmap(blob, { premultiplyAlpha: "none", colorSpaceConversion: "none" });
  } catch (cause) {
    throw new ReimagenError("database", `${name} is not a picture that this browser can decode`, { cause });
  }
  const { width, height } = bitmap;
  const context = createCanvas(width, height).getContext("2d", { willReadFrequently: true }) as
    | OffscreenCanvasRenderingContext2D
    | CanvasRenderingContext2D;
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return { width, height, pixels: context.getImageData(0, 0, width, height).data };
}

// Workers have only the one kind, and old browsers only the other.
function createCanvas(width: number, height: number): OffscreenCanvas | HTMLCanvasElement {
  if (globalThis.OffscreenCanvas) return new OffscreenCanvas(width, height);
  return Object.assign(document.createElement("canvas"), { width, height });
}
