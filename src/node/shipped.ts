// What comes with the package: its version, the shipped model and the neighbour database.
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

// Two folders up, from the sources as from the built files (dist/node or dist/shared).
const root = new URL("../../", import.meta.url);

/** Folder of the shipped model. */
export const shippedModel = fileURLToPath(new URL("weights/emoji-64", root));

/** Folder of the shipped neighbour database. */
export const shippedDatabase = fileURLToPath(new URL("weights/emoji-db", root));

/** Folder of the shipped retriever. */
export const shippedRetriever = fileURLToPath(new URL("weights/retriever", root));

/** The package's version, as "0.1.0". */
export async function packageVersion(): Promise<string> {
  return JSON.parse(await readFile(new URL("package.json", root), "utf8")).version;
}
