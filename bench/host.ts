// The repository as the lab's host: Dawn, the shipped model and its neighbour database.
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { requestGpu } from "../src/gpu/gpu.ts";
import type { Picture } from "../src/io/picture.ts";
import { readConfig } from "../src/models/config.ts";
import { openDawn } from "../src/node/dawn.ts";
import { openDatabase } from "../src/node/emoji-database.ts";
import { openModel } from "../src/node/model.ts";
import { shippedDatabase, shippedModel } from "../src/node/shipped.ts";
import type { BenchAdapter, NodeHost } from "./command.ts";
import { type Host, prompt } from "./lab/lab.ts";
import { describeMachine } from "./machine.ts";

/** Where the peers are installed. */
export const peersFolder = fileURLToPath(new URL("./peers", import.meta.url));

// Dawn does not keep itself alive for its devices.
const opened: unknown[] = [];

/** Opens a device of its own and what the shipped model consists of. */
export async function openHost(adapter: BenchAdapter, say: Host["say"]): Promise<NodeHost> {
  const dawn = await openDawn(adapter);
  opened.push(dawn);
  const gpu = await requestGpu(dawn.requestAdapter);
  const { version } = createRequire(import.meta.url)("webgpu/package.json") as { version: string };
  return {
    gpu,
    config: readConfig("config.json", await readFile(join(shippedModel, "config.json"), "utf8")),
    model: await openModel(shippedModel),
    neighbors: (k) => neighborsFor(prompt, k),
    machine: await describeMachine(gpu, version),
    say,
  };
}

/** The best `k` neighbours of a prompt in the shipped database. Throws where it has fewer. */
export async function neighborsFor(text: string, k: number): Promise<{ picture: Picture; caption: string }[]> {
  const database = await openDatabase(shippedDatabase);
  const found = database.search(text, { k });
  if (found.length < k) throw new Error(`the database has only ${found.length} neighbours for "${text}", not ${k}`);
  return Promise.all(
    found.map(async ({ entry }) => ({ picture: await database.picture(entry), caption: entry.caption })),
  );
}
