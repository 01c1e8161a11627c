// `npm run data`: builds the training pictures, out/art-SIZE.bin (RGBA, size x size x 4 bytes each) and out/art-SIZE.json.
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, open, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { parseArgs } from "node:util";
import sharp from "sharp";
import { type Drawing, readArt, styles } from "./art.ts";
import { readEntities } from "./entities.ts";
import { installPackages, packagePath } from "./packages.ts";
import { rasterise, visibleBox } from "./raster.ts";

// An entity of one drawing has no neighbour; one of fewer than three has too few to train on, and is held out.
const fewestDrawings = 2;

const { values } = parseArgs({
  options: {
    size: { type: "string", default: "64" },
    out: { type: "string", default: join(import.meta.dirname, "out") },
  },
});
const size = Number(values.size);
if (!Number.isInteger(size) || size < 16 || size > 1024)
  throw new Error(`--size is 16 to 1024, and ${values.size} came`);

if (!existsSync(packagePath("emojibase-data"))) installPackages();
sharp.cache(false);
const drawings = frequent(readArt(readEntities()));
await mkdir(values.out, { recursive: true });
const stem = join(values.out, `art-${size}`);
const { pictures, digest } = await writePixels(drawings, `${stem}.bin`);
const first = await heldOutFirst();
const second = await heldOutSecond();
const index = {
  size,
  sha256: digest,
  families: Object.fromEntries(styles.map(({ style, family }) => [style, family])),
  heldOut: { first, second },
  pictures,
};
await writeFile(`${stem}.json`, `${JSON.stringify(index).replaceAll('{"entity"', '\n{"entity"')}\n`);
const names = new Set(pictures.map(({ entity }) => entity));
const missing = [...first, ...second].filter((name) => !names.has(name));
if (missing.length > 0) throw new Error(`held-out entities without pictures: ${missing.join(", ")}`);
console.info(`${stem}.bin: ${pictures.length} pictures of ${names.size} entities, ${size}x${size}, sha256 ${digest}`);

interface PictureRecord {
  entity: string;
  tags: readonly string[];
  group: string;
  style: string;
  box: readonly number[];
}

function frequent(all: readonly Drawing[]): Drawing[] {
  const counts = new Map<string, number>();
  for (const { entity } of all) counts.set(entity.name, (counts.get(entity.name) ?? 0) + 1);
  return all.filter(({ entity }) => counts.get(entity.name)! >= fewestDrawings);
}

async function writePixels(
  all: readonly Drawing[],
  path: string,
): Promise<{ pictures: PictureRecord[]; digest: string }> {
  const file = await open(path, "w");
  const hash = createHash("sha256");
  const pictures: PictureRecord[] = [];
  for (const drawing of all) {
    const pixels = await rasterise(drawing, size);
    const box = visibleBox(pixels, size);
    if (!box) throw new Error(`${drawing.style}/${drawing.slug} is empty`);
    hash.update(pixels);
    await file.write(pixels);
    const { name: entity, tags, group } = drawing.entity;
    pictures.push({ entity, tags, group, style: drawing.style, box });
  }
  await file.close();
  return { pictures, digest: hash.digest("hex") };
}

/** The entities that every version of the weights held out: those that the shipped database marks. */
async function heldOutFirst(): Promise<string[]> {
  const path = join(import.meta.dirname, "../emoji-db/database.json");
  const { entities } = JSON.parse(await readFile(path, "utf8")) as {
    entities: { entity: string; heldOut?: boolean }[];
  };
  return entities.filter(({ heldOut }) => heldOut).map(({ entity }) => entity);
}

async function heldOutSecond(): Promise<string[]> {
  const lines = (await readFile(join(import.meta.dirname, "held-out-2.txt"), "utf8")).split("\n");
  return lines.filter((line) => line !== "" && !line.startsWith("#"));
}
