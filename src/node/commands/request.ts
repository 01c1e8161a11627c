// The neighbours that a command line asks for: pictures by hand, and pictures that the prompt finds in a database.
import { MAX_NEIGHBORS } from "../../diffusion/neighbors.ts";
import { ReimagenError } from "../../errors.ts";
import type { Picture } from "../../io/picture.ts";
import type { Neighbor, NeighborDatabase, NeighborEntry } from "../../retrieval/database.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openDatabase } from "../emoji-database.ts";
import { openModel } from "../model.ts";
import { readPicture } from "../pictures.ts";
import { shippedRetriever } from "../shipped.ts";
import { withGpu } from "./device.ts";

/** A neighbour by hand: a picture file and what it shows. */
export interface HandNeighbor {
  readonly file: string;
  readonly caption: string;
}

/** Which neighbours are asked for. */
export interface NeighborRequest {
  readonly prompt: string;
  readonly byHand: readonly HandNeighbor[];
  /** How many to retrieve. */
  readonly k: number;
  /** Ids that may not be retrieved. */
  readonly exclude: readonly number[];
  /** Folder of the database. */
  readonly database: string;
  /** By the prompt's words, or by what they mean: vectors that a model makes, on this adapter. */
  readonly retriever: RetrieverKind;
  readonly adapter: AdapterChoice;
}

/** How neighbours are found. */
export type RetrieverKind = "bm25" | "learned";

/** What is told about a neighbour, plain enough for JSON. */
export type NeighborFacts =
  | { caption: string; file: string }
  | { caption: string; id: number; entity: string; style: string; score: number; heldOut: boolean };

/** A neighbour as the engine takes it, and where it came from. */
export interface UsedNeighbor {
  readonly picture: Picture;
  readonly caption: string;
  readonly facts: NeighborFacts;
}

/** Throws `argument` where more neighbours are asked for than are possible. */
export function checkCount({ k, byHand }: Pick<NeighborRequest, "k" | "byHand">): void {
  if (k + byHand.length > MAX_NEIGHBORS)
    throw new ReimagenError(
      "argument",
      `at most ${MAX_NEIGHBORS} neighbours are possible, got ${k + byHand.length} (${k} to retrieve, ${byHand.length} by hand)`,
    );
}

/** Reads neighbours, those by hand first, at any size. Errors: picture, database, argument (an id that there is not). */
export async function gatherNeighbors(request: NeighborRequest): Promise<UsedNeighbor[]> {
  const { byHand, k, database: folder } = request;
  const neighbors: UsedNeighbor[] = [];
  for (const { file, caption } of byHand)
    neighbors.push({ picture: await readModest(file), caption, facts: { caption, file } });
  if (k === 0) return neighbors;
  const database = await openDatabase(folder);
  for (const found of await retrieve(database, request)) {
    const { caption } = found.entry;
    neighbors.push({ picture: await database.picture(found.entry), caption, facts: factsOf(found) });
  }
  return neighbors;
}

// No model looks at more, and a device's textures may hold no more.
const mostPixels = 2048;

async function readModest(file: string): Promise<Picture> {
  const picture = await readPicture(file);
  return Math.max(picture.width, picture.height) > mostPixels ? readPicture(file, mostPixels) : picture;
}

/** The k best neighbours that are not excluded. Errors: argument; for learned retrieval also database, checkpoint, no-adapter. */
export async function retrieve(
  database: NeighborDatabase,
  request: Omit<NeighborRequest, "byHand">,
): Promise<Neighbor[]> {
  const { prompt, k, exclude } = request;
  const stray = exclude.find((id) => id >= database.entries.length);
  if (stray !== undefined)
    throw new ReimagenError(
      "argument",
      `there is no neighbour ${stray} to exclude: the database has ids 0 to ${database.entries.length - 1}`,
    );
  const excluded = new Set(exclude);
  const search = { k, exclude: ({ id }: NeighborEntry) => excluded.has(id) };
  if (request.retriever === "bm25") return database.search(prompt, search);
  const [{ openEmbeddings }, { createRetriever }, { searchByEmbedding }] = await Promise.all([
    import("../retriever.ts"),
    import("../../retrieval/retriever.ts"),
    import("../../retrieval/embeddings.ts"),
  ]);
  const files = await openModel(shippedRetriever);
  return withGpu(request.adapter, async (gpu) => {
    const retriever = await createRetriever(gpu, files);
    const embeddings = await openEmbeddings(request.database, database, retriever.config.id);
    return searchByEmbedding(database, embeddings, await retriever.texts([prompt]), search);
  });
}

/** Says so where fewer were found than were asked for. */
export function tooFew(
  { k, byHand }: Pick<NeighborRequest, "k" | "byHand">,
  neighbors: readonly UsedNeighbor[],
): string[] {
  const retrieved = neighbors.length - byHand.length;
  return retrieved < k ? [fewNeighbors(retrieved)] : [];
}

/** A neighbour for people. */
export function describeNeighbor(facts: NeighborFacts): string {
  if ("file" in facts) return `"${facts.caption}", ${facts.file}`;
  const { caption, style, id, score, heldOut } = facts;
  return `"${caption}", ${style} style, id ${id}, score ${score.toFixed(2)}${heldOut ? ", never seen in training" : ""}`;
}

/** The warning where a prompt finds fewer neighbours than were asked for. */
export function fewNeighbors(found: number): string {
  return `the database has ${found === 0 ? "no" : `only ${found}`} ${found === 1 ? "neighbour" : "neighbours"} for this prompt`;
}

/** What is told about a neighbour from a database. */
export function factsOf({ entry, score }: Neighbor): Extract<NeighborFacts, { id: number }> {
  const { id, entity, caption, style, heldOut } = entry;
  return { caption, id, entity, style, score, heldOut };
}
