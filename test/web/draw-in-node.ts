// A picture drawn in Node for a test that runs in a browser: the runner's own process starts the command line.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { decodePng } from "../../src/io/png.ts";
import { newFolder, reimagen, remove } from "../node/command-line.ts";

/** What to draw, all that the command line and a page can both be told. */
export interface DrawnRequest {
  readonly prompt: string;
  readonly k: number;
  readonly seed: number;
  readonly steps: number;
}

const shipped = (folder: string) => fileURLToPath(new URL(`../../weights/${folder}`, import.meta.url));

/** RGBA8 of the shipped model's picture, by `reimagen generate` on the software adapter. */
export async function drawInNode(_: unknown, { prompt, k, seed, steps }: DrawnRequest): Promise<number[]> {
  const folder = await newFolder();
  try {
    const options = {
      "-k": k,
      "--seed": seed,
      "--steps": steps,
      "--adapter": process.env.REIMAGEN_ADAPTER ?? "software",
    };
    const { code, stderr } = await reimagen(
      [
        ...["generate", prompt, "--no-sheet", "-o", "picture.png"],
        ...["--model", shipped("emoji-64"), "--database", shipped("emoji-db")],
        ...Object.entries(options).flatMap(([name, value]) => [name, String(value)]),
      ],
      { folder },
    );
    if (code !== 0) throw Error(stderr);
    return [...decodePng("picture.png", await readFile(join(folder, "picture.png"))).picture.pixels];
  } finally {
    await remove(folder);
  }
}
