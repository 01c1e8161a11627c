// `npm run embed`: gives the shipped database embeddings by the shipped retriever, for learned retrieval.
import { readdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { requestGpu } from "../../src/gpu/gpu.ts";
import { type AdapterChoice, openDawn } from "../../src/node/dawn.ts";
import { openDatabase } from "../../src/node/emoji-database.ts";
import { writeFileAtomically } from "../../src/node/files.ts";
import { embedder } from "../../src/node/retriever.ts";
import { shippedDatabase as folder, shippedRetriever } from "../../src/node/shipped.ts";

const { values } = parseArgs({ options: { adapter: { type: "string", default: "auto" } } });
const dawn = await openDawn(values.adapter as AdapterChoice);
const gpu = await requestGpu(dawn.requestAdapter);
const database = await openDatabase(folder);
const progress = (done: number, total: number) => {
  if (done % 1024 === 0) console.info(`${done} of ${total}`);
};
const embed = await embedder(shippedRetriever, (use) => use(gpu), progress);
const { file, retriever, bytes } = await embed(database, [], undefined);
gpu.dispose();

await writeFileAtomically(join(folder, file), bytes);
const index = join(folder, "database.json");
const json = (await readFile(index, "utf8")).replace(/,\n"embeddings":.*/, "");
const line = `"embeddings":${JSON.stringify({ file, retriever })}`;
await writeFileAtomically(index, json.replace(/\n\}\n?$/, `,\n${line}\n}\n`));
for (const other of await readdir(folder))
  if (/^embeddings-.*\.safetensors$/.test(other) && other !== file) await rm(join(folder, other));
console.info(`${file}: ${database.entries.length} entries, ${bytes.length} bytes`);
