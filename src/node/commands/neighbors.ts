// `reimagen neighbors`: what a prompt finds in a neighbour database.
import { encodePng } from "../../io/png.ts";
import { contactSheet } from "../contact-sheet.ts";
import type { AdapterChoice } from "../dawn.ts";
import { openDatabase } from "../emoji-database.ts";
import { checkWritable, writeAll } from "./output.ts";
import { factsOf, fewNeighbors, type RetrieverKind, retrieve } from "./request.ts";
import { table } from "./table.ts";
import { jsonResult, result, warn } from "./terminal.ts";

/** What `neighbors` is told. */
export interface NeighborsOptions {
  readonly prompt: string;
  /** How many at most. */
  readonly k: number;
  readonly exclude: readonly number[];
  /** Folder of the database. */
  readonly database: string;
  readonly retriever: RetrieverKind;
  readonly adapter: AdapterChoice;
  /** File for a picture of them. */
  readonly sheet: string | undefined;
  readonly json: boolean;
}

/** Prints the neighbours of a prompt, best first. Throws ReimagenError. */
export async function neighbors(options: NeighborsOptions): Promise<void> {
  const { prompt, k, sheet, json } = options;
  if (sheet) await checkWritable(sheet);
  const database = await openDatabase(options.database);
  const found = await retrieve(database, options);
  if (found.length < k) warn(fewNeighbors(found.length));
  if (sheet) {
    const tiles = found.map(async (neighbor) => {
      const { caption, score, style, id } = factsOf(neighbor);
      const lines = [caption, `score ${score.toFixed(2)}`, `${style}, id ${id}`];
      return { picture: await database.picture(neighbor.entry), lines };
    });
    const picture = await contactSheet({
      title: prompt,
      neighbors: await Promise.all(tiles),
      pictures: [],
      facts: [],
      estimates: [],
    });
    await writeAll(new Map([[sheet, encodePng(picture, { prompt })]]));
  }
  const facts = found.map((neighbor, i) => ({ rank: i + 1, ...factsOf(neighbor) }));
  if (json) jsonResult({ prompt, neighbors: facts, sheet: sheet ?? null });
  // A database that names nothing held out, such as one of the user's own pictures, says nothing of training.
  else result(listing(facts, database.entries.some(({ heldOut }) => heldOut) ? "seen" : "unknown"));
}

function listing(facts: readonly ({ rank: number } & ReturnType<typeof factsOf>)[], otherwise: string): string {
  return table(
    ["rank", "score", "id", "entity", "style", "training"],
    facts.map(({ rank, score, id, entity, style, heldOut }) => [
      String(rank),
      score.toFixed(2),
      String(id),
      entity,
      style,
      heldOut ? "held out" : otherwise,
    ]),
  );
}
