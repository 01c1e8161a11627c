// The contact sheet of a generation: the prompt, its neighbours, the pictures, and how they came out of the noise.
import sharp, { type OverlayOptions } from "sharp";
import type { Picture } from "../io/picture.ts";
import { fitText, type Label, textPath, wrapText } from "./letters.ts";

/** A picture with what is written under it, the first line in a darker colour. */
export interface Tile {
  readonly picture: Picture;
  readonly lines: readonly string[];
}

/** What a contact sheet shows; a part that is empty takes no room. */
export interface ContactSheet {
  readonly title: string;
  readonly neighbors: readonly Tile[];
  readonly pictures: readonly Tile[];
  /** Facts beside the pictures: a name and what it is. */
  readonly facts: readonly (readonly [name: string, value: string])[];
  /** For each picture, a row of estimates of it, first to last. */
  readonly estimates: readonly (readonly Tile[])[];
}

// A grid of 8 columns: 128 is a whole multiple of the sizes that models draw at.
const columns = 8;
const cell = 128;
const gutter = 16;
const margin = 40;
const contentWidth = columns * cell + (columns - 1) * gutter;
const largest = 4 * cell;
const ink = "#1c1c1e";
const faint = "#76767c";
const lineHeight = 17;

/** What is laid out so far: text, pictures, and the height that they take. */
interface Page {
  readonly labels: Label[];
  readonly overlays: OverlayOptions[];
  y: number;
}

/** Composes the sheet, 1216 pixels wide and as high as it needs; small pictures are enlarged pixel by pixel. */
export async function contactSheet(sheet: ContactSheet): Promise<Picture> {
  const page: Page = { labels: [], overlays: [], y: margin };
  addTitle(page, sheet.title);
  if (sheet.neighbors.length > 0) {
    addHeading(page, "Neighbours");
    await addTiles(page, sheet.neighbors, cell, columns);
  }
  if (sheet.pictures.length > 0) await addPictures(page, sheet);
  if (sheet.estimates.length > 0) {
    addHeading(page, "Estimates of the finished picture, step by step");
    for (const row of sheet.estimates) await addTiles(page, row, cell, columns);
  }
  return render(page);
}

function addTitle(page: Page, title: string): void {
  for (const text of wrapText(title, 22, contentWidth)) {
    page.labels.push({ text, x: margin, y: page.y + 22, height: 22, color: ink, weight: 0.15 });
    page.y += 36;
  }
  page.y += 4;
}

function addHeading(page: Page, text: string): void {
  page.y += 12;
  page.labels.push({ text, x: margin, y: page.y + 12, height: 12, color: ink, weight: 0.15 });
  page.y += 26;
}

async function addPictures(page: Page, { pictures, facts }: ContactSheet): Promise<void> {
  const perRow = Math.min(4, Math.ceil(Math.sqrt(pictures.length)));
  const side = perRow === 1 ? largest : perRow === 2 ? 2 * cell : cell;
  addHeading(page, pictures.length === 1 ? "Picture" : "Pictures");
  const top = page.y;
  await addTiles(page, pictures, side, perRow);
  const x = margin + perRow * (side + gutter) + 2 * gutter;
  page.y = Math.max(page.y, addFacts(page.labels, facts, x, top));
}

function addFacts(labels: Label[], facts: ContactSheet["facts"], x: number, top: number): number {
  const indent = 120;
  const width = margin + contentWidth - x - indent;
  let y = top + 10;
  for (const [name, value] of facts) {
    labels.push({ text: name, x, y, height: 11, color: faint });
    for (const text of wrapText(value, 11, width)) {
      labels.push({ text, x: x + indent, y, height: 11, color: ink });
      y += 20;
    }
    y += 6;
  }
  return y;
}

async function addTiles(page: Page, tiles: readonly Tile[], side: number, perRow: number): Promise<void> {
  for (let first = 0; first < tiles.length; first += perRow) {
    const row = tiles.slice(first, first + perRow);
    for (const [column, { picture, lines }] of row.entries()) {
      const x = margin + column * (side + gutter);
      page.overlays.push({ ...(await enlarged(picture, side)), left: x, top: page.y });
      lines.forEach((line, i) => {
        const y = page.y + side + 19 + i * lineHeight;
        const color = i === 0 ? ink : faint;
        page.labels.push({ text: fitText(line, 9.5, side), x, y, height: 9.5, color });
      });
    }
    const most = Math.max(...row.map(({ lines }) => lines.length));
    page.y += side + 12 + most * lineHeight + 6;
  }
}

/** A picture enlarged without smoothing, as sharp overlays it. */
export async function enlarged({ width, height, pixels }: Picture, side: number): Promise<OverlayOptions> {
  const kernel = side % width === 0 && side % height === 0 ? "nearest" : "lanczos3";
  const { data, info } = await sharp(pixels, { raw: { width, height, channels: 4 } })
    .flatten({ background: "#ffffff" })
    .resize(side, side, { kernel, fit: "contain", background: "#ffffff" })
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { input: data, raw: { width: info.width, height: info.height, channels: info.channels } };
}

async function render({ labels, overlays, y }: Page): Promise<Picture> {
  const width = contentWidth + 2 * margin;
  const height = Math.ceil(y + margin / 2);
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">${labels.map(textPath).join("")}</svg>`;
  const { data } = await sharp({ create: { width, height, channels: 4, background: "#ffffff" } })
    .composite([{ input: Buffer.from(svg), left: 0, top: 0 }, ...overlays])
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { width, height, pixels: new Uint8ClampedArray(data) };
}
