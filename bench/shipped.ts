// The shipped model and its neighbour database on an adapter, as the benches use them.
import { createEngine, type Engine } from "../src/diffusion/engine.ts";
import { type Gpu, requestGpu } from "../src/gpu/gpu.ts";
import type { Picture } from "../src/io/picture.ts";
import { type DawnGpu, openDawn } from "../src/node/dawn.ts";
import { openDatabase } from "../src/node/emoji-database.ts";
import { openModel } from "../src/node/model.ts";
import type { NeighborDatabase } from "../src/retrieval/database.ts";

/** The system's own Vulkan driver (VK_DRIVER_FILES says which), or SwiftShader from npm. */
export type BenchAdapter = "gpu" | "software";

/** Folders of the repository. */
export const modelFolder = new URL("../weights/emoji-64", import.meta.url).pathname;
const databaseFolder = new URL("../weights/emoji-db", import.meta.url).pathname;

/** Reads `--adapter`'s value. */
export function benchAdapter(name: string): BenchAdapter {
  if (name !== "gpu" && name !== "software") throw new Error(`--adapter must be gpu or software, got ${name}`);
  return name;
}

/** Reads an option that counts something. */
export function positiveInteger(option: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 1) throw new Error(`${option} must be a positive integer, got ${text}`);
  return value;
}

/** A device, and the Dawn that must stay referenced while it lives. */
export interface OpenedGpu {
  readonly dawn: DawnGpu;
  readonly gpu: Gpu;
}

/** Opens a device of its own. */
export async function openGpu(adapter: BenchAdapter): Promise<OpenedGpu> {
  const dawn = await openDawn(adapter);
  return { dawn, gpu: await requestGpu(dawn.requestAdapter) };
}

/** An engine with the shipped model. */
export async function openEngine(gpu: Gpu): Promise<Engine> {
  return createEngine(gpu, await openModel(modelFolder));
}

/** The shipped neighbour database. */
export function openNeighbors(): Promise<NeighborDatabase> {
  return openDatabase(databaseFolder);
}

/** The best `k` neighbours of a prompt. Throws where the database has fewer. */
export async function neighborsFor(
  database: NeighborDatabase,
  prompt: string,
  k: number,
): Promise<{ picture: Picture; caption: string }[]> {
  const found = database.search(prompt, { k });
  if (found.length < k) throw new Error(`the database has only ${found.length} neighbours for "${prompt}", not ${k}`);
  return Promise.all(
    found.map(async ({ entry }) => ({ picture: await database.picture(entry), caption: entry.caption })),
  );
}
