// The neighbours that a command line asks for: pictures by hand, and pictures that the prompt finds in a database.
import type { GenerationRequest } from "../../diffusion/request.ts";
import type { PartialSettings } from "../../diffusion/settings.ts";
import { ReimagenError } from "../../errors.ts";
import type { Picture } from "../../io/picture.ts";
import type { Neighbor, NeighborDatabase, NeighborEntry } from "../../retrieval/database.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openDatabase } from "../emoji-database.ts";
import { openModel } from "../model.ts";
import { readPicture, resized } from "../pictures.ts";
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

/** Reads neighbours, those by hand first, at the model's size. Errors: picture, database, argument (an id that there is not). */
export async function gatherNeighbors(request: NeighborRequest, size: number): Promise<UsedNeighbor[]> {
  const { byHand, k, database: folder } = request;
  const neighbors: UsedNeighbor[] = [];
  for (const { file, caption } of byHand)
    neighbors.push({ picture: await readPicture(file, size), caption, facts: { caption, file } });
  if (k === 0) return neighbors;
  const database = await openDatabase(folder);
  for (const found of await retrieve(database, request)) {
    const { caption } = found.entry;
    const picture = await resized(await database.picture(found.entry), size);
    neighbors.push({ picture, caption, facts: factsOf(found) });
  }
  return neighbors;
}

/** A request of a kind, with nothing in it: enough for a plan, or to measure kernels. */
export function blankRequest(
  { k, settings, pictures }: { readonly k: number; readonly settings: PartialSettings; readonly pictures: number },
  size: number,
): GenerationRequest {
  const picture = { width: size, height: size, pixels: new Uint8Array(size * size * 4) };
  const neighbors = Array.from({ length: k }, () => ({ picture, caption: "" }));
  return { prompt: "a picture", neighbors, settings, pictures };
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

/** The warning where a prompt finds fewer neighbours than were asked for. */
export function fewNeighbors(found: number): string {
  return `the database has ${found === 0 ? "no" : `only ${found}`} ${found === 1 ? "neighbour" : "neighbours"} for this prompt`;
}

/** What is told about a neighbour from a database. */
export function factsOf({ entry, score }: Neighbor): Extract<NeighborFacts, { id: number }> {
  const { id, entity, caption, style, heldOut } = entry;
  return { caption, id, entity, style, score, heldOut };
}
