// The neighbour database: pictures of entities on sheets of tiles, found by a prompt's words.

import { ReimagenError } from "../errors.ts";
import { crop, type Picture } from "../io/picture.ts";
import { createBm25, type Hit } from "./bm25.ts";
import { documentTerms, entityNames, promptTerms } from "./terms.ts";

/** One picture of the database. */
export interface NeighborEntry {
  /** Its place in the database. */
  readonly id: number;
  /** What it shows, as in "sloth". */
  readonly entity: string;
  /** What a model is told that it shows: its own caption, as neighbours were captioned in training. */
  readonly caption: string;
  readonly tags: readonly string[];
  readonly style: string;
  /** Styles of one family draw an entity nearly alike. */
  readonly family: string;
  readonly group: string;
  /** Training never saw this entity. */
  readonly heldOut: boolean;
  /** File name of the sheet, and the square on it: left, top and side in pixels. */
  readonly sheet: string;
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

/** An entry that a prompt found. */
export interface Neighbor {
  readonly entry: NeighborEntry;
  /** BM25, or with learned retrieval a cosine; greater is better. */
  readonly score: number;
}

/** Which neighbours to find. */
export interface NeighborSearch {
  /** How many at most: 0 to the size of the database. */
  k: number;
  /** Entries that may not be found, such as the picture that is to be drawn. */
  exclude?: (entry: NeighborEntry) => boolean;
}

/** The file with the entries' embeddings, and the retriever that made them. */
export interface EmbeddingsFile {
  readonly file: string;
  /** The `id` in its `config.json`. */
  readonly retriever: string;
}

/** Pictures with their captions, to search and to look at. */
export interface NeighborDatabase {
  readonly entries: readonly NeighborEntry[];
  /** For learned retrieval; undefined where the database has none. */
  readonly embeddings: EmbeddingsFile | undefined;
  /** File names of all sheets. */
  readonly sheets: readonly string[];
  /**
   * The best neighbours for a prompt, best first; of equal ones, families of styles take turns. Fewer than k where the prompt's
   * words match fewer. Errors: argument (k).
   */
  search(prompt: string, options: NeighborSearch): Neighbor[];
  /** An entry's pixels; its sheet is decoded once and kept. Errors: those of the decoder, database (the sheet is too small). */
  picture(entry: NeighborEntry): Promise<Picture>;
}

/** Decodes a sheet, given its file name. */
export type SheetDecoder = (sheet: string) => Promise<Picture>;

/**
 * A database from the text of its `database.json`: `entities` are described once; a sheet names the entities of its tiles, which lie
 * in rows of `columns` squares of `size` pixels. `name` is for messages. Errors: database.
 */
export function createDatabase(name: string, json: string, decodeSheet: SheetDecoder): NeighborDatabase {
  const { entries, sheets, embeddings } = readEntries(name, json);
  const bm25 = createBm25(entries.map(({ entity, tags }) => documentTerms(entity, tags)));
  const names = entityNames(entries.map(({ entity }) => entity));
  const decoded = new Map<string, Promise<Picture>>();

  function search(prompt: string, { k, exclude }: NeighborSearch): Neighbor[] {
    if (!Number.isInteger(k) || k < 0 || k > entries.length) {
      throw new ReimagenError(
        "argument",
        `${name} can find 0 to ${entries.length} neighbours, and ${k} were asked for`,
      );
    }
    const excluded = exclude && ((id: number) => exclude(entries[id]));
    const hits = bm25.search(promptTerms(prompt, names), entries.length, excluded);
    return takeTurns(hits, entries, k).map(({ id, score }) => ({ entry: entries[id], score }));
  }

  function sheet(file: string): Promise<Picture> {
    let picture = decoded.get(file);
    if (!picture) {
      picture = decodeSheet(file);
      decoded.set(file, picture);
      // A failure is not kept: the next request may find the sheet.
      picture.catch(() => decoded.delete(file));
    }
    return picture;
  }

  async function picture({ sheet: file, x, y, size }: NeighborEntry): Promise<Picture> {
    const whole = await sheet(file);
    if (x + size > whole.width || y + size > whole.height) {
      throw new ReimagenError(
        "database",
        `${name}: the tile at (${x}, ${y}) lies outside ${file}, which has ${whole.width}x${whole.height} pixels`,
      );
    }
    return crop(whole, x, y, size, size);
  }

  return { entries, sheets, embeddings, search, picture };
}

/** The first k hits; within a run of equal scores, one of each family in turn, so that look-alikes come last. */
function takeTurns(hits: readonly Hit[], entries: readonly NeighborEntry[], k: number): Hit[] {
  const taken: Hit[] = [];
  for (let begin = 0; begin < hits.length && taken.length < k; ) {
    let end = begin + 1;
    while (end < hits.length && hits[end].score === hits[begin].score) end++;
    taken.push(...byTurns(hits.slice(begin, end), entries));
    begin = end;
  }
  return taken.slice(0, k);
}

function byTurns(run: readonly Hit[], entries: readonly NeighborEntry[]): Hit[] {
  const rounds: Hit[][] = [];
  const seen = new Map<string, number>();
  for (const hit of run) {
    const { family } = entries[hit.id];
    const round = seen.get(family) ?? 0;
    seen.set(family, round + 1);
    rounds[round] ??= [];
    rounds[round].push(hit);
  }
  return rounds.flat();
}

interface DatabaseFile {
  size: number;
  columns: number;
  entities: { entity: string; group: string; tags: string[]; heldOut?: boolean; caption?: string }[];
  sheets: { file: string; style: string; family: string; entities: number[] }[];
  embeddings?: EmbeddingsFile;
}

function readEntries(
  name: string,
  json: string,
): Pick<NeighborDatabase, "sheets" | "embeddings"> & { entries: NeighborEntry[] } {
  const { size, columns, entities, sheets, embeddings } = parseFile(name, json);
  const entries: NeighborEntry[] = [];
  for (const { file, style, family, entities: tiles } of sheets) {
    tiles.forEach((index, tile) => {
      const { entity, group, tags, heldOut = false, caption = `${entity} emoji` } = entities[index];
      const x = (tile % columns) * size;
      const y = Math.floor(tile / columns) * size;
      entries.push({
        id: entries.length,
        entity,
        caption,
        tags,
        style,
        family,
        group,
        heldOut,
        sheet: file,
        x,
        y,
        size,
      });
    });
  }
  return { entries, sheets: sheets.map(({ file }) => file), embeddings };
}

function parseFile(name: string, json: string): DatabaseFile {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch (cause) {
    throw new ReimagenError("database", `${name} is not JSON`, { cause });
  }
  check(name, isObject(file), "it is not a JSON object");
  const { size, columns, entities, sheets, embeddings } = file;
  check(name, isCount(size) && size > 0 && isCount(columns) && columns > 0, "size and columns are not counts above 0");
  check(name, Array.isArray(entities), "entities is not a list");
  entities.forEach((entity, i) => {
    check(name, isEntity(entity), `entity ${i} is not { entity, group, tags, heldOut?, caption? }`);
  });
  check(name, Array.isArray(sheets) && sheets.length > 0, "sheets is not a list of one or more");
  sheets.forEach((sheet, i) => {
    check(name, isSheet(sheet), `sheet ${i} is not { file, style, family, entities }`);
    const stray = sheet.entities.find((index) => index >= entities.length);
    check(name, stray === undefined, `${sheet.file} shows entity ${stray}, and there are ${entities.length}`);
  });
  const described = isObject(embeddings) && isText(embeddings.file) && isText(embeddings.retriever);
  check(name, embeddings === undefined || described, "embeddings is not { file, retriever }");
  return file as unknown as DatabaseFile;
}

function isEntity(value: unknown): value is DatabaseFile["entities"][number] {
  if (!isObject(value)) return false;
  const { entity, group, tags, heldOut, caption } = value;
  const named = isText(entity) && isText(group) && (caption === undefined || isText(caption));
  return named && Array.isArray(tags) && tags.every(isText) && (heldOut === undefined || typeof heldOut === "boolean");
}

function isSheet(value: unknown): value is DatabaseFile["sheets"][number] {
  if (!isObject(value)) return false;
  const { file, style, family, entities } = value;
  return isText(file) && isText(style) && isText(family) && Array.isArray(entities) && entities.every(isCount);
}

function check(name: string, right: boolean, what: string): asserts right {
  if (!right) throw new ReimagenError("database", `${name} is malformed: ${what}`);
}

function isText(value: unknown): value is string {
  return typeof value === "string" && value.length > 0;
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
