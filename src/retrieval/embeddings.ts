// Embeddings of a database's entries: how they are stored, and which are nearest to a prompt's.
import { ReimagenError } from "../errors.ts";
import { float32ToFloat16 } from "../io/float16.ts";
import { openSafetensors, toFloat32, writeSafetensors } from "../io/safetensors.ts";
import type { ByteSource } from "../io/source.ts";
import type { Hit } from "./bm25.ts";
import type { Neighbor, NeighborDatabase, NeighborSearch } from "./database.ts";

/** A unit vector of each entry. */
export interface Embeddings {
  readonly count: number;
  readonly dim: number;
  /** [count, dim] */
  readonly vectors: Float32Array;
}

const tensor = "embeddings";

/** Reads the embeddings of a database with `count` entries: one tensor [count, dim], f16 or f32. Throws `database`, `checkpoint`, `aborted`. */
export async function readEmbeddings(source: ByteSource, count: number, signal?: AbortSignal): Promise<Embeddings> {
  const file = await openSafetensors(source, signal);
  const info = file.tensors.get(tensor);
  const [rows, dim = 0, ...more] = info?.shape ?? [];
  const fits = rows === count && dim > 0 && more.length === 0;
  if (!info || !fits || !["F16", "F32"].includes(info.dtype))
    throw new ReimagenError(
      "database",
      `${source.name} should hold one tensor "${tensor}", F16 or F32, with a row for each of ${count} entries, got ${info ? `${info.dtype} [${info.shape}]` : "none"}`,
    );
  return { count, dim, vectors: toFloat32(await file.read(tensor, signal), info.dtype) };
}

/** Embeddings as a safetensors file of f16. */
export function writeEmbeddings({ count, dim, vectors }: Embeddings): Uint8Array {
  const bytes = new Uint8Array(float32ToFloat16(vectors).buffer);
  return writeSafetensors([{ name: tensor, dtype: "F16", shape: [count, dim], bytes }]);
}

/** The k entries whose vectors have the greatest cosine with the query's, a unit vector; best first, ties by id. Looks at every entry. Throws `argument`. */
export function nearest(
  { count, dim, vectors }: Embeddings,
  query: Float32Array,
  k: number,
  exclude: (id: number) => boolean = () => false,
): Hit[] {
  if (query.length !== dim)
    throw new ReimagenError(
      "argument",
      `the prompt's vector has ${query.length} numbers, and the database's have ${dim}: another retriever made them`,
    );
  const best: Hit[] = [];
  for (let id = 0; id < count && k > 0; id++) {
    let score = 0;
    for (let i = 0, at = id * dim; i < dim; i++, at++) score += vectors[at]! * query[i]!;
    if ((best.length === k && score <= best[k - 1]!.score) || exclude(id)) continue;
    let place = best.length;
    while (place > 0 && best[place - 1]!.score < score) place--;
    best.splice(place, 0, { id, score });
    if (best.length > k) best.pop();
  }
  return best;
}

/** The best neighbours for a prompt's vector, best first: what `NeighborDatabase.search` is to words. Throws `argument`. */
export function searchByEmbedding(
  database: NeighborDatabase,
  embeddings: Embeddings,
  query: Float32Array,
  { k, exclude }: NeighborSearch,
): Neighbor[] {
  const { entries } = database;
  if (!Number.isInteger(k) || k < 0 || k > entries.length)
    throw new ReimagenError("argument", `0 to ${entries.length} neighbours can be found, and ${k} were asked for`);
  const excluded = exclude && ((id: number) => exclude(entries[id]!));
  return nearest(embeddings, query, k, excluded).map(({ id, score }) => ({ entry: entries[id]!, score }));
}
