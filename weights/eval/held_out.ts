// Draws the held-out sheet: twelve entities that training never saw, with neighbours at several eta, and without; one seed for all.
import { writeFile } from "node:fs/promises";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { createEngine, type Engine } from "../../src/diffusion/engine.ts";
import type { NeighborPicture } from "../../src/diffusion/neighbors.ts";
import { requestGpu } from "../../src/gpu/gpu.ts";
import type { Picture } from "../../src/io/picture.ts";
import { encodePng } from "../../src/io/png.ts";
import { enlarged } from "../../src/node/contact-sheet.ts";
import { type AdapterChoice, openDawn } from "../../src/node/dawn.ts";
import { openDatabase } from "../../src/node/emoji-database.ts";
import { textPath } from "../../src/node/letters.ts";
import { openModel } from "../../src/node/model.ts";
import { shippedDatabase, shippedModel } from "../../src/node/shipped.ts";

const scenes = [
  "on the beach",
  "on the grass",
  "at night under the stars",
  "underwater",
  "on a wooden table",
  "on a red background",
  "on the moon",
  "in the snow",
  "at sunset",
  "on a road",
  "in the mountains",
  "in space",
];
const etas = [0, 0.25, 0.5, 0.75, 1];
const side = 128;
const gap = 8;
const labels = { left: 250, top: 60 };

const { values } = parseArgs({
  options: {
    adapter: { type: "string", default: "auto" },
    seed: { type: "string", default: "3" },
    out: { type: "string", default: "weights/emoji-64/held-out.png" },
  },
});

const dawn = await openDawn(values.adapter as AdapterChoice);
const gpu = await requestGpu(dawn.requestAdapter);
const files = await openModel(shippedModel);
const database = await openDatabase(shippedDatabase);
const engine = await createEngine(gpu, files);
const heldOut = [...new Set(database.entries.filter((entry) => entry.heldOut).map((entry) => entry.entity))].sort();
const chosen = heldOut.filter((_, i) => i % 5 === 2).slice(0, scenes.length);

const rows: { prompt: string; pictures: Picture[] }[] = [];
for (const [i, entity] of chosen.entries()) {
  const prompt = `${/^[aeiou]/.test(entity) ? "an" : "a"} ${entity} ${scenes[i]}`;
  const neighbors = await Promise.all(
    database
      .search(prompt, { k: 2 })
      .map(async ({ entry }) => ({ picture: await database.picture(entry), caption: entry.caption })),
  );
  const pictures = neighbors.map(({ picture }) => picture);
  for (const eta of etas) pictures.push(await draw(engine, prompt, neighbors, eta));
  pictures.push(await draw(engine, prompt, [], 1));
  rows.push({ prompt, pictures });
  console.info(`${i + 1} of ${chosen.length}: ${prompt}`);
}
await writeFile(values.out, await encodePng(await sheet(rows)));
engine.dispose();
gpu.dispose();
console.info(values.out);

async function draw(engine: Engine, prompt: string, neighbors: NeighborPicture[], eta: number): Promise<Picture> {
  const settings = { seed: Number(values.seed), guidance: { eta } };
  return (await engine.generate({ prompt, neighbors, settings })).pictures[0]!;
}

async function sheet(rows: readonly { prompt: string; pictures: readonly Picture[] }[]): Promise<Picture> {
  const columns = ["neighbour", "neighbour", ...etas.map((eta) => `eta ${eta}`), "without"];
  const at = (column: number, row: number) => ({
    left: labels.left + column * (side + gap),
    top: labels.top + row * (side + gap),
  });
  const overlays = await Promise.all(
    rows.flatMap(({ pictures }, row) =>
      pictures.map(async (picture, column) => ({ ...(await enlarged(picture, side)), ...at(column, row) })),
    ),
  );
  const { left: width, top: height } = at(columns.length, rows.length);
  const paths = [
    ...columns.map((text, column) =>
      textPath({ text, x: at(column, 0).left, y: labels.top - 12, height: 10, color: "#1c1c1e" }),
    ),
    ...rows.flatMap(({ prompt }, row) => {
      const words = prompt.split(" ");
      const half = Math.ceil(words.length / 2);
      return [words.slice(0, half).join(" "), words.slice(half).join(" ")].map((text, line) =>
        textPath({ text, x: 16, y: at(0, row).top + side / 2 + line * 20, height: 11, color: "#1c1c1e" }),
      );
    }),
  ];
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/>${paths.join("")}</svg>`;
  const { data, info } = await sharp(Buffer.from(svg))
    .composite(overlays)
    .removeAlpha()
    .ensureAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width: info.width, height: info.height, pixels: new Uint8ClampedArray(data) };
}
