// Lets Node import a `.wgsl` file as its text, as the bundlers do: `node --import ./src/node/wgsl-loader.mjs`.
import { readFile } from "node:fs/promises";
import { register } from "node:module";
import { isMainThread } from "node:worker_threads";

if (isMainThread) register(import.meta.url);

/** Module hook: serves `.wgsl` as a module whose default export is the text. */
export async function load(url, context, nextLoad) {
  if (!new URL(url).pathname.endsWith(".wgsl")) return nextLoad(url, context);
  const text = await readFile(new URL(url), "utf8");
  return { format: "module", shortCircuit: true, source: `export default ${JSON.stringify(text)};` };
}
