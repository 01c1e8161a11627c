// Turns a folder of pictures into a neighbour database: sheets of tiles, `database.json`, and a record that makes the next time quick.
import { basename, join, resolve } from "node:path";
import { ReimagenError } from "../../errors.ts";
import type { Picture } from "../../io/picture.ts";
import { createDatabase, type NeighborDatabase } from "../../retrieval/database.ts";
import { readPicture } from "../pictures.ts";
import { type CaptionTable, type Description, describe, readCaptionTable } from "./captions.ts";
import { type OutputFolder, openOutput } from "./output-folder.ts";
import { findPictures, identify, type PictureFile } from "./pictures.ts";
import { type EarlierIndex, readEarlier, recordFile, writeRecord } from "./record.ts";
import { encodeSheet, type SheetLayout, sheetLayout, sheetName } from "./sheets.ts";

/** What `indexFolder` is told. */
export interface IndexOptions {
  /** With the pictures. */
  readonly folder: string;
  /** For the database; made where it is missing. */
  readonly output: string;
  /** Side of a tile, pixels. */
  readonly size: number;
  /** Whether what cannot be used is an error, rather than left out. */
  readonly strict: boolean;
  /** Makes embeddings for learned retrieval. */
  readonly embed?: Embedder | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Makes the file of embeddings for a database; `places` has each entry's place in the earlier one, where its pixels are those of then. */
export type Embedder = (
  database: NeighborDatabase,
  places: readonly (number | undefined)[],
  earlier: EarlierIndex | undefined,
) => Promise<{ readonly file: string; readonly retriever: string; readonly bytes: Uint8Array }>;

/** What an index came to. */
export interface Indexed {
  readonly pictures: number;
  readonly entities: number;
  readonly added: number;
  readonly changed: number;
  readonly kept: number;
  readonly removed: number;
  /** What was left out, and why: one sentence each. */
  readonly warnings: readonly string[];
}

interface Item {
  readonly file: PictureFile;
  readonly description: Description;
  /** Its place in the earlier database, where its pixels are those of then. */
  readonly place: number | undefined;
  /** Its file was there before, with other contents. */
  readonly changed: boolean;
}

/** Pictures that are read at a time. */
const atOnce = 8;

/**
 * Indexes a folder. The result is the same whether an earlier index was there or not; `database.json` takes its place in one move when all that it
 * names is written, and what fails leaves the earlier index as it was. Throws `database` (nothing to index, or captions.csv malformed), `output`, `aborted`;
 * with `strict` also what would be left out otherwise.
 */
export async function indexFolder(options: IndexOptions): Promise<Indexed> {
  const { folder, size } = options;
  const paths = await findPictures(folder, options.output);
  const table = await readCaptionTable(folder);
  const output = await openOutput(options.output);
  const warnings: string[] = [];
  const leaveOut = (error: unknown) => {
    if (options.strict || !(error instanceof ReimagenError)) throw error;
    warnings.push(error.message);
  };
  for (const name of strays(table, paths))
    leaveOut(
      new ReimagenError("database", `${join(folder, "captions.csv")} names ${name}, which is not a picture there`),
    );
  const earlier = await readEarlier(options.output, size);
  const places = new Map(earlier?.files.map((file, place) => [file.path, place]));

  async function read(path: string): Promise<{ item: Item; picture: Picture }> {
    const place = places.get(path);
    const was = place === undefined ? undefined : earlier!.files[place];
    const file = await identify(folder, path, was);
    const same = was?.digest === file.digest;
    const picture = same
      ? await earlier!.database.picture(earlier!.database.entries[place!]!)
      : await readPicture(join(folder, path), size);
    const description = await describe(folder, path, table);
    return { picture, item: { file, description, place: same ? place : undefined, changed: Boolean(was) && !same } };
  }

  const items: Item[] = [];
  const sheets = sheetWriter(output, sheetLayout(size));
  try {
    for (let done = 0; done < paths.length; done += atOnce) {
      if (options.signal?.aborted)
        throw new ReimagenError("aborted", "the index was aborted; what was there is unchanged");
      options.onProgress?.(done, paths.length);
      for (const result of await Promise.allSettled(paths.slice(done, done + atOnce).map(read))) {
        if (result.status === "rejected") {
          leaveOut(result.reason);
          continue;
        }
        items.push(result.value.item);
        await sheets.add(result.value.item.file.digest, result.value.picture);
      }
    }
    if (items.length === 0)
      throw new ReimagenError("database", `${folder} has no picture to index${warnings[0] ? `: ${warnings[0]}` : ""}`);
    const style = basename(resolve(folder));
    const names = await sheets.finish();
    const json = (more: object) => databaseText(style, sheetLayout(size), names, items, more);
    const embeddings = await options.embed?.(
      createDatabase(options.output, json({}), (sheet) => readPicture(join(options.output, sheet))),
      items.map(({ place }) => place),
      earlier,
    );
    if (embeddings) await output.write(embeddings.file, embeddings.bytes);
    const { file, retriever } = embeddings ?? {};
    const text = json(embeddings ? { embeddings: { file, retriever } } : {});
    // First, as a record that belongs to no database is passed over, and a database without one would be taken for another's.
    await output.replace(recordFile, writeRecord(text, { size, files: items.map(({ file }) => file) }));
    await output.replace("database.json", text);
    await output.finish([...names, ...(file ? [file] : [])]);
  } catch (error) {
    await output.undo();
    throw error;
  }
  const kept = items.filter(({ place }) => place !== undefined).length;
  const changed = items.filter((item) => item.changed).length;
  const entities = new Set(items.map(({ description }) => JSON.stringify(description))).size;
  const removed = (earlier?.files.length ?? 0) - kept - changed;
  return { pictures: items.length, entities, added: items.length - kept - changed, changed, kept, removed, warnings };
}

function strays(table: CaptionTable, paths: readonly string[]): string[] {
  const known = new Set(paths);
  return [...table.keys()].filter((name) => !known.has(name));
}

/** Gathers tiles and writes a sheet whenever one is full: no more than one is held in memory. */
function sheetWriter(output: OutputFolder, layout: SheetLayout) {
  const names: string[] = [];
  let waiting: { digest: string; picture: Picture }[] = [];
  async function flush(): Promise<void> {
    const name = sheetName(
      layout,
      waiting.map(({ digest }) => digest),
    );
    const tiles = waiting.map(({ picture }) => picture);
    waiting = [];
    names.push(name);
    if (!output.has(name)) await output.write(name, await encodeSheet(layout, tiles));
  }
  return {
    async add(digest: string, picture: Picture): Promise<void> {
      waiting.push({ digest, picture });
      if (waiting.length === layout.tiles) await flush();
    },
    /** -> the sheets' names. */
    async finish(): Promise<readonly string[]> {
      if (waiting.length > 0) await flush();
      return names;
    },
  };
}

/** `database.json`, an entity a line: pictures with the same description show one. */
function databaseText(
  style: string,
  { size, columns, tiles }: SheetLayout,
  sheets: readonly string[],
  items: readonly Item[],
  more: object,
): string {
  const entities = new Map<string, number>();
  const indices = items.map(({ description }) => {
    const key = JSON.stringify(description);
    const index = entities.get(key) ?? entities.size;
    entities.set(key, index);
    return index;
  });
  const shown = sheets.map((file, i) => {
    const part = indices.slice(i * tiles, (i + 1) * tiles);
    return JSON.stringify({ file, style, family: style, entities: part });
  });
  const parts = [
    `"size":${size},\n"columns":${columns}`,
    `"entities":[\n${[...entities.keys()].join(",\n")}\n]`,
    `"sheets":[\n${shown.join(",\n")}\n]`,
    ...Object.entries(more).map(([key, value]) => `"${key}":${JSON.stringify(value)}`),
  ];
  return `{\n${parts.join(",\n")}\n}\n`;
}
