// The studio: database, engine and canvases behind calls that carry plain data. It lives in a worker, or on the page where that cannot be.
import {
  createEngine,
  type Engine,
  type FetchedDatabase,
  fetchDatabase,
  fetchModel,
  forgetFiles,
  type Generation,
  type GenerationRequest,
  type Gpu,
  keptBytes,
  MAX_NEIGHBORS,
  type NeighborPicture,
  type Picture,
  ReimagenError,
  requestGpu,
} from "../../index.ts";
import { encodePng } from "../../io/png.ts";
import { createMosaic, createScreen, type StudioCanvas } from "./canvases.ts";
import { familiesOf } from "./families.ts";
import { describeMachine } from "./machine.ts";
import { bitmapOf, decodePicture, tileOf } from "./pictures.ts";
import {
  type CanvasName,
  type Drawn,
  type FoundNeighbor,
  type KernelFamily,
  type Opening,
  type Order,
  type Recipe,
  type StudioEvent,
  sweptEtas,
  tileGap,
} from "./protocol.ts";
import { settingsOf } from "./recipe.ts";

/** Side of a neighbour's tile on the page, in pixels. */
const tileSide = 64;

/** What is there once the engine is. */
interface Workshop {
  readonly gpu: Gpu;
  readonly engine: Engine;
  readonly picture: ReturnType<typeof createScreen>;
  readonly estimate: ReturnType<typeof createScreen>;
  readonly sheet: ReturnType<typeof createMosaic>;
  readonly sweep: ReturnType<typeof createMosaic>;
}

/** A neighbour in use: what the engine takes, and its tile. */
interface Shown extends NeighborPicture {
  readonly tile: Picture;
  readonly facts: object;
}

/** The last finished picture, with what its file says of it. */
interface Finished {
  readonly picture: Picture;
  readonly text: Record<string, string>;
}

export type Studio = ReturnType<typeof createStudio>;

/** A studio with nothing in it yet. */
export function createStudio() {
  let emit: (event: StudioEvent) => void = () => undefined;
  let database: FetchedDatabase;
  let canvases: Record<CanvasName, StudioCanvas>;
  let sheetColumns: number;
  let workshop: Workshop;
  let working = new AbortController();
  let finished: Finished | undefined;
  const own = new Map<number, ImageBitmap>();
  const note = (words: string) => emit({ kind: "note", words });
  const loading = (part: "weights" | "pictures" | "upload" | "kernels") => (loaded: number, total: number) =>
    emit({ kind: "loading", part, loaded, total });
  const stored = { cache: true, onWarning: note };

  /** Whom to tell. */
  function listen(callback: (event: StudioEvent) => void): void {
    emit = callback;
  }

  /** Opens a database's index, and says how many pictures it has: from then on prompts find neighbours. Errors: database. */
  async function openDatabase(folder: string): Promise<number> {
    database = await fetchDatabase(folder, stored);
    return database.entries.length;
  }

  /** Takes the page's canvases, and how many tiles make a row of the contact sheet. */
  function attach(given: Record<CanvasName, StudioCanvas>, columns: number): void {
    canvases = given;
    sheetColumns = columns;
  }

  /** Downloads the database's pictures. Errors: database. */
  const downloadPictures = () => database.download(loading("pictures"));

  /** Opens model and device, and compiles what this recipe needs. Errors: those of `createEngine`. */
  async function openEngine(folder: string, recipe: Recipe): Promise<Opening> {
    if (!navigator.gpu) return { missing: "webgpu" };
    if (!(await navigator.gpu.requestAdapter())) return { missing: "adapter" };
    const [gpu, files] = await Promise.all([
      requestGpu(),
      fetchModel(folder, { ...stored, onProgress: loading("weights") }),
    ]);
    const engine = await createEngine(gpu, files, { onProgress: loading("upload") });
    const { size } = engine.config;
    workshop = {
      gpu,
      engine,
      picture: createScreen(canvases.picture, size),
      estimate: createScreen(canvases.estimate, size),
      sheet: createMosaic(canvases.sheet, size, sheetColumns, tileGap),
      sweep: createMosaic(canvases.sweep, size, sweptEtas.length, tileGap),
    };
    configure(gpu.device);
    gpu.restored(restore);
    watch(gpu);
    await warmUp(recipe);
    return { machine: describeMachine(gpu) };
  }

  function configure(device: GPUDevice): void {
    const { picture, estimate, sheet, sweep } = workshop;
    for (const canvas of [picture, estimate, sheet, sweep]) canvas.configure(device);
  }

  /** Canvases belong to the device that was lost: they are made anew, with what can be shown again. */
  function restore(device: GPUDevice): void {
    configure(device);
    const { picture, estimate, sheet, sweep } = workshop;
    if (finished) {
      picture.paint(finished.picture);
      estimate.paint(finished.picture);
    }
    present((encoder) => {
      sheet.show(encoder);
      sweep.show(encoder);
    });
    emit({ kind: "restored" });
    watch(workshop.gpu);
  }

  function watch(gpu: Gpu): void {
    gpu.lost.then(() => {
      emit({ kind: "lost" });
      // The engine renews the device at its next use; the canvases want it now.
      gpu.renew().catch((error: Error) => note(`The GPU was lost, and there is no other: ${error.message}.`));
    });
  }

  /** Compiles the kernels ahead of the first picture. */
  async function warmUp(recipe: Recipe): Promise<void> {
    const blank: Picture = { width: 1, height: 1, pixels: new Uint8ClampedArray(4) };
    const neighbors = Array.from({ length: recipe.k }, () => ({ picture: blank, caption: "" }));
    const request = { prompt: recipe.prompt || "a picture", neighbors, settings: settingsOf(recipe) };
    const generation = await workshop.engine.start(request, { onCompile: loading("kernels") });
    generation.dispose();
  }

  /** The neighbours that a recipe gets from the database: pinned ones, then the best of the others. */
  function find({ recipe, own }: Order): FoundNeighbor[] {
    const { prompt, k, pinned, excluded } = recipe;
    const room = Math.min(k, MAX_NEIGHBORS - own.length);
    const hits = database.search(prompt, { k: database.entries.length });
    const scores = new Map(hits.map(({ entry, score }) => [entry.id, score]));
    const first = pinned.filter((id) => database.entries[id]);
    const others = [...scores.keys()].filter((id) => !first.includes(id) && !excluded.includes(id));
    return [...first, ...others].slice(0, room).map((id) => {
      const { entity, caption, style, heldOut } = database.entries[id]!;
      return { id, entity, caption, style, heldOut, score: scores.get(id) ?? 0 };
    });
  }

  /** A picture of the database as the model sees it. Errors: database. */
  async function tile(id: number): Promise<Picture> {
    const bitmap = await bitmapOf(await database.picture(database.entries[id]!));
    return tileOf(bitmap, tileSide);
  }

  /** Takes a picture of the user's, under a number of the page's. Errors: picture. */
  async function addPicture(id: number, name: string, file: Blob): Promise<Picture> {
    const bitmap = await decodePicture(name, file);
    own.set(id, bitmap);
    return tileOf(bitmap, tileSide);
  }

  function removePicture(id: number): void {
    own.get(id)?.close();
    own.delete(id);
  }

  /** What the user should know before drawing. */
  function warnings({ recipe, own }: Order): readonly string[] {
    if (recipe.prompt.trim() === "") return [];
    const blank: Picture = { width: 1, height: 1, pixels: new Uint8ClampedArray(4) };
    const neighbors = own.map(({ caption }) => ({ picture: blank, caption }));
    return workshop.engine.warnings({ prompt: recipe.prompt, neighbors });
  }

  async function gather(order: Order): Promise<Shown[]> {
    const brought = order.own.map(({ id, caption }): Shown => {
      const picture = own.get(id)!;
      return { picture, caption, tile: tileOf(picture, tileSide), facts: { caption, file: "own picture" } };
    });
    const found = find(order).map(async ({ id, caption, entity, style, score, heldOut }): Promise<Shown> => {
      const [picture, shown] = await Promise.all([database.picture(database.entries[id]!), tile(id)]);
      return { picture, caption, tile: shown, facts: { caption, id, entity, style, score, heldOut } };
    });
    return [...brought, ...(await Promise.all(found))];
  }

  /** Draws on the canvases `picture`, `estimate` and `sheet`; undefined when it was aborted. Errors: those of `Engine.start`. */
  function draw(order: Order): Promise<Drawn | undefined> {
    return unlessAborted(async (signal) => {
      const { engine, picture, estimate, sheet } = workshop;
      finished = undefined;
      const begun = performance.now();
      const neighbors = await gather(order);
      const request = requestOf(order.recipe, neighbors);
      const generation = await engine.start(request, { signal, onCompile });
      try {
        // Estimates begin on a row of their own.
        const first = Math.ceil(neighbors.length / sheetColumns) * sheetColumns;
        sheet.clear(first + generation.steps);
        neighbors.forEach(({ tile }, i) => {
          sheet.paint(i, tile);
        });
        const show = (encoder: GPUCommandEncoder) => {
          picture.show(encoder, generation, "picture");
          estimate.show(encoder, generation, "estimate");
          if (generation.step > 0) sheet.copy(encoder, first + generation.step - 1, generation, "estimate");
          sheet.show(encoder);
        };
        await form(generation, show);
        await generation.values();
        const [drawn] = (await generation.read("picture")) as [Picture];
        present(show);
        const seconds = (performance.now() - begun) / 1000;
        await sheet.read();
        finished = { picture: drawn, text: textOf(order.recipe, neighbors, generation) };
        return { picture: drawn, seconds };
      } finally {
        generation.dispose();
      }
    });
  }

  /** Draws the prompt once for each of `sweptEtas`, on the canvas `sweep`; false when it was aborted. Errors: those of `Engine.start`. */
  async function sweep(order: Order): Promise<boolean> {
    const done = await unlessAborted(async (signal) => {
      const { engine, sweep } = workshop;
      const neighbors = await gather(order);
      sweep.clear(sweptEtas.length);
      for (const [cell, eta] of sweptEtas.entries()) {
        const request = requestOf({ ...order.recipe, mode: "interleaved", eta }, neighbors);
        const generation = await engine.start(request, { signal, onCompile });
        try {
          const show = (encoder: GPUCommandEncoder) => {
            sweep.copy(encoder, cell, generation, "picture");
            sweep.show(encoder);
          };
          await form(generation, show, cell);
        } finally {
          generation.dispose();
        }
      }
      await sweep.read();
      return true;
    });
    return done ?? false;
  }

  /** Where the time of one step goes; nothing when it was aborted. Errors: those of `Engine.start`. */
  async function profile(order: Order): Promise<KernelFamily[] | undefined> {
    return unlessAborted(async (signal) => {
      const request = requestOf(order.recipe, await gather(order));
      return familiesOf(await workshop.engine.profile(request, { signal, onCompile }));
    });
  }

  const onCompile = (done: number, total: number) => emit({ kind: "compiling", done, total });

  async function form(
    generation: Generation,
    show: (encoder: GPUCommandEncoder) => void,
    cell?: number,
  ): Promise<void> {
    const { gpu } = workshop;
    const told: Promise<void>[] = [];
    let before = performance.now();
    for await (const { step, steps } of generation) {
      present(show);
      const tell = () => {
        const now = performance.now();
        emit({ kind: "step", step, steps, milliseconds: now - before, ...(cell !== undefined && { cell }) });
        before = now;
      };
      // A step that is lost with its device is drawn again.
      told.push(gpu.idle().then(tell, () => undefined));
      // Where the CPU is the GPU, a step in waiting would keep the page's own frames waiting.
      if (gpu.traits.software) await told.at(-1);
    }
    await Promise.all(told);
  }

  function present(show: (encoder: GPUCommandEncoder) => void): void {
    const { device } = workshop.gpu;
    const encoder = device.createCommandEncoder({ label: "present" });
    try {
      show(encoder);
    } catch (error) {
      // The next step shows it, on another device.
      if (error instanceof ReimagenError && error.code === "device-lost") return;
      throw error;
    }
    device.queue.submit([encoder.finish()]);
  }

  async function unlessAborted<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    working = new AbortController();
    try {
      return await work(working.signal);
    } catch (error) {
      if (error instanceof ReimagenError && error.code === "aborted") return undefined;
      throw error;
    }
  }

  return {
    /** Whether WebGPU is to be had where the studio runs. */
    hasGpu: () => navigator.gpu !== undefined,
    listen,
    attach,
    openDatabase,
    downloadPictures,
    openEngine,
    find,
    tile,
    addPicture,
    removePicture,
    warnings,
    draw,
    sweep,
    profile,
    /** Ends what is being drawn at its next step. */
    abort: () => working.abort(),
    /** PNG files of the last picture and of its contact sheet, which say how they were made. */
    picturePng: async () => pngOf(finished!.picture, finished!.text),
    sheetPng: async () => pngOf(await workshop.sheet.read(), finished!.text),
    keptBytes,
    forget: forgetFiles,
    /** For tests: what a driver does when it crashes. */
    loseDevice: () => workshop.gpu.device.destroy(),
  };
}

function requestOf(recipe: Recipe, neighbors: readonly Shown[]): GenerationRequest {
  return {
    prompt: recipe.prompt,
    neighbors: neighbors.map(({ picture, caption }) => ({ picture, caption })),
    settings: settingsOf(recipe),
  };
}

function textOf({ prompt }: Recipe, neighbors: readonly Shown[], generation: Generation): Record<string, string> {
  const { seed, ...settings } = generation.settings;
  return {
    Software: "reimagen",
    prompt,
    neighbors: JSON.stringify(neighbors.map(({ facts }) => facts)),
    settings: JSON.stringify(settings),
    seed: String(seed),
  };
}

function pngOf(picture: Picture, text: Record<string, string>): Blob {
  return new Blob([encodePng(picture, text) as Uint8Array<ArrayBuffer>], { type: "image/png" });
}
