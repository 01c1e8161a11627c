// The neighbours that a command line asks for: pictures by hand, and pictures that the prompt finds in a database.
import { MAX_NEIGHBORS } from "../../diffusion/neighbors.ts";
import type { GenerationRequest } from "../../diffusion/request.ts";
import type { PartialSettings } from "../../diffusion/settings.ts";
import { ReimagenError } from "../../errors.ts";
import type { Picture } from "../../io/picture.ts";
import type { Neighbor, NeighborDatabase } from "../../retrieval/database.ts";
import { openDatabase } from "../emoji-database.ts";
import { readPicture } from "../pictures.ts";

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
}

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

/** Reads neighbours, those by hand first, fitted into a square of that size where one is given. Errors: picture, database, argument (an id that there is not). */
export async function gatherNeighbors(request: NeighborRequest, size?: number): Promise<UsedNeighbor[]> {
  const { byHand, k, database: folder } = request;
  const neighbors: UsedNeighbor[] = [];
  for (const { file, caption } of byHand)
    neighbors.push({ picture: await readPicture(file, size), caption, facts: { caption, file } });
  if (k === 0) return neighbors;
  const database = await openDatabase(folder);
  for (const found of retrieve(database, request)) {
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

/** The k best neighbours that are not excluded. Errors: argument. */
export function retrieve(
  database: NeighborDatabase,
  { prompt, k, exclude }: Pick<NeighborRequest, "prompt" | "k" | "exclude">,
): Neighbor[] {
  const stray = exclude.find((id) => id >= database.entries.length);
  if (stray !== undefined)
    throw new ReimagenError(
      "argument",
      `there is no neighbour ${stray} to exclude: the database has ids 0 to ${database.entries.length - 1}`,
    );
  const excluded = new Set(exclude);
  return database.search(prompt, { k, exclude: ({ id }) => excluded.has(id) });
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

async function resized(picture: Picture, size: number | undefined): Promise<Picture> {
  const { width, height, pixels } = picture;
  if (size === undefined || (width === size && height === size)) return picture;
  const { default: sharp } = await import("sharp");
  const data = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .resize(size, size)
    .raw()
    .toBuffer();
  return { width: size, height: size, pixels: new Uint8ClampedArray(data) };
}
