// Opens a folder with a neighbour database: `database.json` and its sheets.

import { access, readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { ReimagenError } from "../errors.ts";
import { createDatabase, type NeighborDatabase } from "../retrieval/database.ts";
import { readPicture } from "./pictures.ts";

/** Reads a database's index; its sheets must be there, and are decoded when a picture is asked for. Errors: database. */
export async function openDatabase(folder: string): Promise<NeighborDatabase> {
  const path = join(folder, "database.json");
  let json: string;
  try {
    json = await readFile(path, "utf8");
  } catch (cause) {
    throw new ReimagenError("database", `${folder} is not a neighbour database: database.json cannot be read`, {
      cause,
    });
  }
  const database = createDatabase(path, json, (sheet) => readPicture(join(folder, sheet)));
  for (const sheet of database.sheets) {
    if (basename(sheet) !== sheet)
      throw new ReimagenError("database", `${path}: the sheet "${sheet}" is not a file name`);
    await access(join(folder, sheet)).catch((cause: unknown) => {
      throw new ReimagenError("database", `${path}: its sheet ${sheet} is missing`, { cause });
    });
  }
  return database;
}
