// What an index remembers of the files it was made of, so that the next one reads only what changed.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { NeighborDatabase } from "../../retrieval/database.ts";
import { openDatabase } from "../emoji-database.ts";
import { digestOf, type PictureFile } from "./pictures.ts";

const form = 1;

/** The record's file, beside `database.json`. */
export const recordFile = "index.json";

/** The file of each entry of a database, in order. */
interface IndexRecord {
  readonly size: number;
  readonly files: readonly PictureFile[];
}

/** An index that is about to be replaced. */
export interface EarlierIndex {
  readonly folder: string;
  readonly files: readonly PictureFile[];
  readonly database: NeighborDatabase;
}

/** The record as text, bound to the database that it belongs to. */
export function writeRecord(database: string, { size, files }: IndexRecord): string {
  const lines = files.map((file) => JSON.stringify(file)).join(",\n");
  return `{"form":${form},"database":"${digestOf(database)}","size":${size},"files":[\n${lines}\n]}\n`;
}

/** The index that lies in a folder, with tiles of this size; undefined where none does that is whole. */
export async function readEarlier(folder: string, size: number): Promise<EarlierIndex | undefined> {
  try {
    const [json, text] = await Promise.all(
      ["database.json", recordFile].map((file) => readFile(join(folder, file), "utf8")),
    );
    const record = JSON.parse(text!) as IndexRecord & { form: number; database: string };
    if (record.form !== form || record.database !== digestOf(json!) || record.size !== size) return undefined;
    return { folder, files: record.files, database: await openDatabase(folder) };
  } catch {
    // Then everything is read anew, which is only slower.
    return undefined;
  }
}
