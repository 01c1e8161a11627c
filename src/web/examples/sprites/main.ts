// A sprite maker: a drawing becomes the neighbour of eight prompts, and their pictures a sprite sheet.
import { adoptGpu, createEngine, type NeighborDatabase, ReimagenError } from "../../../index.ts";
import { fetchShipped, linkSource, requestDevice, say, steps } from "../page.ts";
import source from "./main.ts?raw";
import { createPad, type Pad } from "./pad.ts";
import { createSheet, type Sprite } from "./sheet.ts";

const form = document.querySelector("form") as HTMLFormElement;
const name = form.querySelector("#name") as HTMLInputElement;
const button = form.querySelector("[type=submit]") as HTMLButtonElement;

const scenes = [
  "on the grass",
  "on the beach",
  "in the snow",
  "in the desert",
  "underwater",
  "at sunset",
  "at night under the stars",
  "in space",
];
const samples = ["snail", "teapot", "octopus", "rocket", "mushroom", "sailboat"];

linkSource(source);
main().catch(say);

async function main(): Promise<void> {
  const pad = createPad(form, (guess) => {
    name.value = guess;
  });
  const cells = listScenes();
  const device = await requestDevice();
  const gpu = adoptGpu(device);
  gpu.lost.then(say);
  const [files, database] = await fetchShipped();
  offerSamples(database, pad);
  const engine = await createEngine(gpu, files);
  const sheet = createSheet(device, document.querySelector("#sheet canvas")!, scenes.length, engine.config.size);
  let making: AbortController | undefined;

  /** Draws one sprite after the other; each step is on the sheet as soon as the GPU has done it. */
  async function makeSprites(what: string, signal: AbortSignal): Promise<Sprite[]> {
    // Whatever is on the pad is the neighbour: the engine fits it into the model's square, on the GPU.
    const neighbors = [{ picture: pad.canvas, caption: `${what} emoji` }];
    const sprites = scenes.map((scene) => ({ scene, prompt: `${article(what)} ${what} ${scene}` }));
    for (const [cell, { prompt }] of sprites.entries()) {
      const generation = await engine.start({ prompt, neighbors, settings: { steps } }, { signal });
      cells[cell].ariaCurrent = "true";
      try {
        for await (const { step } of generation) {
          sheet.show(cell, generation);
          say(`${prompt}: step ${step} of ${steps}`);
        }
        const [picture] = await generation.read("picture");
        sheet.keep(cell, picture);
      } finally {
        cells[cell].ariaCurrent = null;
        generation.dispose();
      }
    }
    return sprites;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (making) return making.abort();
    making = new AbortController();
    button.textContent = "Stop";
    offerFiles();
    try {
      offerFiles(await sheet.files(await makeSprites(name.value.trim(), making.signal)));
      say("Eight sprites: download them below.");
    } catch (error) {
      const stopped = error instanceof ReimagenError && error.code === "aborted";
      say(stopped ? "Stopped." : error);
    }
    making = undefined;
    button.textContent = "Make sprites";
  });
  button.disabled = false;
  say("");
}

function article(what: string): string {
  return /^[aeiou]/i.test(what) ? "an" : "a";
}

/** A caption over each cell. */
function listScenes(): HTMLElement[] {
  const items = scenes.map((scene) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("span"), { textContent: scene }));
    return item;
  });
  document.querySelector("#sheet ol")!.append(...items);
  return items;
}

/** Drawings to begin with: entities of the neighbour database. */
function offerSamples(database: NeighborDatabase, pad: Pad): void {
  const select = form.querySelector("#sample") as HTMLSelectElement;
  select.append(...samples.map((sample) => new Option(sample)));
  select.addEventListener("change", async () => {
    const [found] = database.search(select.value, { k: 1 });
    if (!found) return;
    const { pixels, width } = await database.picture(found.entry);
    pad.show(await createImageBitmap(new ImageData(new Uint8ClampedArray(pixels), width)));
    name.value = select.value;
  });
  select.dispatchEvent(new Event("change"));
}

/** Links to finished files; without files, none. */
function offerFiles(files?: { png: Blob; json: Blob }): void {
  for (const kind of ["png", "json"] as const) {
    const link = form.querySelector(`#${kind}`) as HTMLAnchorElement;
    URL.revokeObjectURL(link.href);
    link.hidden = !files;
    if (files) link.href = URL.createObjectURL(files[kind]);
  }
}
