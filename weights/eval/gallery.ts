// Draws the gallery: 32 pictures of held-out entities with the seeds 0 to 31, none left out, at every size that there are stages for. With `--q8`,
// the first eight at 256 pixels by the weights as they are, and in 8 bits.
import { mkdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { createEngine, type Engine } from "../../src/diffusion/engine.ts";
import type { LowPictures } from "../../src/diffusion/low.ts";
import type { NeighborPicture } from "../../src/diffusion/neighbors.ts";
import { requestGpu } from "../../src/gpu/gpu.ts";
import type { Picture } from "../../src/io/picture.ts";
import { type AdapterChoice, openDawn } from "../../src/node/dawn.ts";
import { openDatabase } from "../../src/node/emoji-database.ts";
import { openModel } from "../../src/node/model.ts";
import { shippedDatabase } from "../../src/node/shipped.ts";
import type { NeighborDatabase } from "../../src/retrieval/database.ts";

const seeds = 32;
const columns = 8;
const scenes = [
  "on the beach",
  "in the snow",
  "on the grass",
  "at night under the stars",
  "underwater",
  "on a wooden table",
  "in the mountains",
  "on the moon",
  "at sunset",
  "on a road",
  "in space",
];
/** Sides of a picture on the sheet of its size; the largest are also written one by one. */
const shownAt: Readonly<Record<number, number>> = { 64: 128, 256: 256, 1024: 512 };

interface Drawn {
  readonly prompt: string;
  readonly neighbors: readonly NeighborPicture[];
  /** By each stage. */
  readonly pictures: readonly Picture[];
}

const { values } = parseArgs({
  options: {
    adapter: { type: "string", default: "auto" },
    model: { type: "string", multiple: true, default: ["weights/emoji-64", "weights/super-256", "weights/super-1024"] },
    out: { type: "string", default: "weights/gallery" },
    q8: { type: "boolean", default: false },
  },
});

const { requestAdapter } = await openDawn(values.adapter as AdapterChoice);
const gpu = await requestGpu(requestAdapter);
const database = await openDatabase(shippedDatabase);
await mkdir(values.out, { recursive: true });
if (values.q8) {
  const models = values.model.slice(0, 2);
  const drawn = [...(await drawAll(models, columns)), ...(await drawAll(models, columns, "q8"))];
  const pictures = drawn.map((each) => each.pictures.at(-1)!);
  await writeSheet(pictures, pictures[0]!.width, join(values.out, "q8.webp"));
} else await write(await drawAll(values.model, seeds), values.out);
gpu.dispose();
console.info(values.out);

/** By the stages in these folders, the seeds from 0 on. */
async function drawAll(folders: readonly string[], count: number, weights?: "q8"): Promise<Drawn[]> {
  const engines: Engine[] = [];
  for (const folder of folders)
    engines.push(await createEngine(gpu, await openModel(resolve(folder)), weights ? { weights } : {}));
  const drawn: Drawn[] = [];
  for (let seed = 0; seed < count; seed++) {
    drawn.push(await draw(engines, database, seed));
    console.info(`${seed}: ${drawn.at(-1)!.prompt}`);
  }
  for (const engine of engines) engine.dispose();
  return drawn;
}

/** Every so-many-th entity of the held-out list, so that all of the alphabet has its turn. */
async function draw(stages: readonly Engine[], from: NeighborDatabase, seed: number): Promise<Drawn> {
  const heldOut = [...new Set(from.entries.filter((entry) => entry.heldOut).map((entry) => entry.entity))].sort();
  const entity = heldOut[Math.floor((seed * heldOut.length) / seeds)]!;
  const prompt = `${/^[aeiou]/.test(entity) ? "an" : "a"} ${entity} ${scenes[seed % scenes.length]}`;
  const neighbors = await Promise.all(
    from
      .search(prompt, { k: 2 })
      .map(async ({ entry }) => ({ picture: await from.picture(entry), caption: entry.caption })),
  );
  const pictures: Picture[] = [];
  let low: LowPictures | undefined;
  for (const stage of stages) {
    const shown = stage.config.neighbors ? { neighbors } : {};
    const made = await stage.generate({ prompt, settings: { seed }, ...shown, ...(low && { low }) });
    pictures.push(made.pictures[0]!);
    low = made.values;
  }
  return { prompt, neighbors, pictures };
}

async function write(all: readonly Drawn[], folder: string): Promise<void> {
  const shown = all.map(({ neighbors }) => neighbors.map(({ picture }) => picture as Picture));
  for (const [i, name] of ["first", "second"].entries())
    await writeSheet(
      shown.map((pair) => pair[i]!),
      128,
      join(folder, `neighbors-${name}.webp`),
    );
  for (const [stage, { width }] of all[0]!.pictures.entries()) {
    const pictures = all.map((each) => each.pictures[stage]!);
    await writeSheet(pictures, shownAt[width] ?? width, join(folder, `${width}.webp`));
    if (width < 1024) continue;
    for (const [seed, picture] of pictures.entries())
      await image(picture)
        .webp({ quality: 72 })
        .toFile(join(folder, `${width}-${String(seed).padStart(2, "0")}.webp`));
  }
  const list = all.map(({ prompt }, seed) => `${seed}. ${prompt}`).join("\n");
  await writeFile(join(folder, "prompts.md"), `${list}\n`);
}

/** Row by row, in the order of seeds. Small pictures keep their pixels. */
async function writeSheet(pictures: readonly Picture[], side: number, path: string): Promise<void> {
  const gap = Math.max(2, side >> 5);
  const overlays = await Promise.all(
    pictures.map(async (picture, i) => ({
      input: await image(picture)
        .resize(side, side, { kernel: picture.width < side ? "nearest" : "lanczos3" })
        .png()
        .toBuffer(),
      left: (i % columns) * (side + gap),
      top: Math.floor(i / columns) * (side + gap),
    })),
  );
  const extent = (count: number) => count * (side + gap) - gap;
  const [width, height] = [extent(columns), extent(Math.ceil(pictures.length / columns))];
  const sheet = sharp({ create: { width, height, channels: 3, background: "#fff" } }).composite(overlays);
  await sheet.webp({ quality: 80 }).toFile(path);
}

function image({ width, height, pixels }: Picture) {
  return sharp(Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength), {
    raw: { width, height, channels: 4 },
  }).flatten({ background: "#fff" });
}
