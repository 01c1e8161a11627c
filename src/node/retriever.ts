// Learned retrieval over databases on disk.
import { access, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ReimagenError } from "../errors.ts";
import type { Gpu } from "../gpu/gpu.ts";
import type { NeighborDatabase } from "../retrieval/database.ts";
import { type Embeddings, readEmbeddings, writeEmbeddings } from "../retrieval/embeddings.ts";
import { createRetriever, entryText } from "../retrieval/retriever.ts";
import { openFileSource } from "./file-source.ts";
import type { Embedder } from "./indexing/index-folder.ts";
import { digestOf } from "./indexing/pictures.ts";
import { openModel } from "./model.ts";
import { resized } from "./pictures.ts";

/** Whether a folder holds a retriever. */
export async function hasRetriever(folder: string): Promise<boolean> {
  return access(join(folder, "config.json")).then(
    () => true,
    () => false,
  );
}

/** Opens the embeddings that a database folder brings for the retriever `id`. Throws `database` (none, or another retriever's), `checkpoint`. */
export async function openEmbeddings(
  folder: string,
  { entries, embeddings }: NeighborDatabase,
  id: string,
): Promise<Embeddings> {
  if (!embeddings)
    throw new ReimagenError("database", `${folder} has no embeddings for learned retrieval: index its pictures again`);
  const { file, retriever } = embeddings;
  if (basename(file) !== file)
    throw new ReimagenError("database", `${folder}: the embeddings "${file}" are not a file name`);
  if (retriever !== id)
    throw new ReimagenError(
      "database",
      `${folder} has embeddings of the retriever ${retriever}, and this one is ${id}: index its pictures again`,
    );
  const source = await openFileSource(join(folder, file));
  try {
    return await readEmbeddings(source, entries.length);
  } finally {
    await source.close();
  }
}

/** Makes embeddings with the retriever of a folder; what an earlier index has by the same retriever, of the same pixels and words, is taken over. */
export async function embedder(
  folder: string,
  withGpu: WithGpu,
  onProgress?: (done: number, total: number) => void,
): Promise<Embedder> {
  const { id } = JSON.parse(await readFile(join(folder, "config.json"), "utf8")) as { id: string };
  return async (database, places, earlier) => {
    const { entries } = database;
    // Those of another retriever, or damaged ones, are made anew.
    const old = earlier && (await openEmbeddings(earlier.folder, earlier.database, id).catch(() => undefined));
    const texts = entries.map(entryText);
    const fresh = entries.filter((_, i) => {
      const place = places[i];
      return !old || place === undefined || entryText(earlier!.database.entries[place]!) !== texts[i];
    });
    const made = new Map<number, Float32Array>();
    if (fresh.length > 0)
      await withGpu(async (gpu) => {
        const retriever = await createRetriever(gpu, await openModel(folder));
        const { dim, size } = retriever.config;
        for (let begin = 0; begin < fresh.length; begin += together) {
          onProgress?.(begin, fresh.length);
          const part = fresh.slice(begin, begin + together);
          const pairs = part.map(async (entry) => ({
            picture: await resized(await database.picture(entry), size),
            text: texts[entry.id]!,
          }));
          const vectors = await retriever.entries(await Promise.all(pairs));
          for (const [i, { id }] of part.entries()) made.set(id, vectors.slice(i * dim, (i + 1) * dim));
        }
        retriever.dispose();
      });
    const dim = old?.dim ?? made.get(fresh[0]!.id)!.length;
    const vectors = new Float32Array(entries.length * dim);
    for (const { id: at } of entries) {
      const place = places[at]!;
      vectors.set(made.get(at) ?? old!.vectors.subarray(place * dim, (place + 1) * dim), at * dim);
    }
    const bytes = writeEmbeddings({ count: entries.length, dim, vectors });
    return { file: `embeddings-${digestOf(bytes).slice(0, 12)}.safetensors`, retriever: id, bytes };
  };
}

/** Runs something with a device that is there for it alone. */
export type WithGpu = <T>(use: (gpu: Gpu) => Promise<T>) => Promise<T>;

/** Entries that are embedded between two reports of progress. */
const together = 32;
