// `reimagen index`: a folder of pictures becomes a neighbour database.
import { basename, dirname, join, resolve } from "node:path";
import { ReimagenError } from "../../errors.ts";
import type { AdapterChoice } from "../dawn.ts";
import { indexFolder } from "../indexing/index-folder.ts";
import { embedder, hasRetriever } from "../retriever.ts";
import { shippedRetriever } from "../shipped.ts";
import { withGpu } from "./device.ts";
import { jsonResult, note, openProgress, result, warn } from "./terminal.ts";

/** What `index` is told. */
export interface IndexPicturesOptions {
  readonly folder: string;
  /** Default: the folder's name with "-db", beside it. */
  readonly output: string | undefined;
  /** Side of a tile, pixels. */
  readonly size: number;
  readonly strict: boolean;
  /** Whether to make embeddings for learned retrieval, where the retriever's model is there. */
  readonly embeddings: boolean;
  readonly adapter: AdapterChoice;
  readonly json: boolean;
}

const [leastSize, mostSize] = [16, 1024];

/** Writes the database; the result is its folder, or JSON. Throws ReimagenError. */
export async function indexPictures(options: IndexPicturesOptions, signal: AbortSignal): Promise<void> {
  const { size, strict, json } = options;
  const folder = resolve(options.folder);
  const output = options.output ?? join(dirname(options.folder), `${basename(folder)}-db`);
  if (size < leastSize || size > mostSize)
    throw new ReimagenError("argument", `tiles are ${leastSize} to ${mostSize} pixels wide, got ${size}`);
  if (resolve(output) === folder)
    throw new ReimagenError("argument", `the database cannot lie in ${options.folder} itself, among the pictures`);
  const progress = await openProgress();
  let found: Awaited<ReturnType<typeof indexFolder>>;
  try {
    const show = (label: string) => (done: number, total: number) => progress.show(label, done, total);
    const embed =
      options.embeddings && (await hasRetriever(shippedRetriever))
        ? await embedder(shippedRetriever, (use) => withGpu(options.adapter, use), show("embedding"))
        : undefined;
    found = await indexFolder({
      ...{ folder: options.folder, output, size, strict },
      ...{ embed, signal, onProgress: show("reading") },
    });
  } finally {
    progress.stop();
  }
  const { warnings, ...counts } = found;
  for (const warning of warnings) warn(`left out: ${warning}`);
  const { pictures, entities, added, changed, kept, removed } = counts;
  note(
    `${pictures} pictures of ${entities} things: ${added} new, ${changed} changed, ${kept} as before, ${removed} gone.`,
  );
  note(`Draw from it: reimagen generate "..." --database ${output}`);
  if (json) jsonResult({ database: output, ...counts, warnings });
  else result(output);
}
