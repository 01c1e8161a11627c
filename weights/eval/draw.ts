// Draws a manifest of `run.py` by the engine, for a cross-check: `npx tsx --import ./src/node/wgsl-loader.mjs weights/eval/draw.ts MANIFEST --model FOLDER --out DIR`.
import { access, mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { createEngine } from "../../src/diffusion/engine.ts";
import { requestGpu } from "../../src/gpu/gpu.ts";
import { encodePng } from "../../src/io/png.ts";
import { type AdapterChoice, openDawn } from "../../src/node/dawn.ts";
import { openDatabase } from "../../src/node/emoji-database.ts";
import { writeFileAtomically } from "../../src/node/files.ts";
import { openModel } from "../../src/node/model.ts";
import { shippedDatabase, shippedModel } from "../../src/node/shipped.ts";

/** A line of the manifest. */
interface Asked {
  readonly file: string;
  readonly prompt: string;
  readonly seed: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    adapter: { type: "string", default: "auto" },
    model: { type: "string", default: shippedModel },
    out: { type: "string" },
  },
});
if (!positionals[0] || !values.out) throw new Error("a manifest and --out are needed");
const lines = (await readFile(positionals[0], "utf8")).trim().split("\n");
await mkdir(values.out, { recursive: true });

const dawn = await openDawn(values.adapter as AdapterChoice);
const gpu = await requestGpu(dawn.requestAdapter);
const engine = await createEngine(gpu, await openModel(values.model));
const database = await openDatabase(shippedDatabase);
for (const [done, line] of lines.entries()) {
  const { file, prompt, seed } = JSON.parse(line) as Asked;
  const path = join(values.out, file);
  // What is there was drawn before an interruption.
  const isThere = await access(path).then(
    () => true,
    () => false,
  );
  if (isThere) continue;
  const found = database.search(prompt, { k: 2 });
  const neighbors = await Promise.all(
    found.map(async ({ entry }) => ({ picture: await database.picture(entry), caption: entry.caption })),
  );
  const { pictures } = await engine.generate({ prompt, neighbors, settings: { seed } });
  await writeFileAtomically(path, await encodePng(pictures[0]!, { prompt, seed: String(seed) }));
  console.info(`${done + 1} of ${lines.length}: ${prompt}`);
}
engine.dispose();
gpu.dispose();
