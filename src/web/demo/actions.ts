// What the page does when its user does something, and when the studio tells something.
import { connectStudio, type RemoteStudio } from "./connect.ts";
import type { CanvasName, Order, Recipe, StudioEvent } from "./protocol.ts";
import { linkOf, recipeOf, seedLimit } from "./recipe.ts";
import { getState, type State, setState, sheetColumns } from "./store.ts";

let studio: RemoteStudio;
let nextOwn = 1;

const folders = {
  model: new URL("weights/emoji-64", document.baseURI).href,
  database: new URL("weights/emoji-db", document.baseURI).href,
};

/** Opens all there is; from then on the page is live. */
export async function start(canvases: Record<CanvasName, HTMLCanvasElement>): Promise<RemoteStudio> {
  const linked = recipeOf(location.hash.slice(1));
  if (linked) setState({ recipe: linked });
  window.addEventListener("hashchange", followLink);
  studio = await connectStudio(canvases, sheetColumns, (event) => setState(changesBy(event)));
  void openDatabase();
  void openEngine(linked !== undefined);
  return studio;
}

async function openDatabase(): Promise<void> {
  try {
    setState({ entries: await studio.openDatabase(folders.database) });
    await find();
    await studio.downloadPictures();
    await refreshKept();
  } catch (error) {
    complain(error, () => void openDatabase());
  }
}

async function openEngine(drawAtOnce: boolean): Promise<void> {
  try {
    setState({ opening: await studio.openEngine(folders.model, getState().recipe) });
    await refreshKept();
    await warn();
    if (drawAtOnce && isReady()) void draw();
  } catch (error) {
    complain(error, () => void openEngine(drawAtOnce));
  }
}

const isReady = () => "machine" in (getState().opening ?? {});

async function refreshKept(): Promise<void> {
  setState({ kept: await studio.keptBytes() });
}

function complain(error: unknown, retry?: () => void): void {
  const sentence = error instanceof Error ? error.message : String(error);
  const begun = sentence.startsWith("http") ? sentence : `${sentence[0]?.toUpperCase()}${sentence.slice(1)}`;
  const words = /[.!?]$/.test(begun) ? begun : `${begun}.`;
  setState({ notice: { words, ...(retry && { retry }) } });
}

export function dismissNotice(): void {
  setState({ notice: undefined });
}

function changesBy(event: StudioEvent): Partial<State> {
  const { parts, times, sweep } = getState();
  switch (event.kind) {
    case "loading":
      return { parts: { ...parts, [event.part]: { loaded: event.loaded, total: event.total } } };
    case "compiling":
      return { compiling: { loaded: event.done, total: event.total } };
    case "step":
      if (event.cell !== undefined)
        return { compiling: undefined, sweep: sweep && { ...sweep, cell: event.cell, step: event.step } };
      return { compiling: undefined, step: event.step, times: [...times, event.milliseconds] };
    case "lost":
      return { notice: { words: "The GPU was lost; the page is finding it again …" } };
    case "restored":
      return { notice: { words: "The GPU was lost and is back. What was being drawn goes on from its last step." } };
    case "note":
      return { notice: { words: event.words } };
  }
}

/** What the page's fields say at the moment. */
export function currentOrder(): Order {
  const { recipe, own } = getState();
  return { recipe, own: own.map(({ id, caption }) => ({ id, caption })) };
}

/** Changes the recipe; new neighbours appear at once. */
export function change(patch: Partial<Recipe>): void {
  setState({ recipe: { ...getState().recipe, ...patch } });
  if (["prompt", "k", "excluded", "pinned"].some((key) => key in patch)) void find();
  if ("prompt" in patch) void warn();
}

let lastFind = 0;

async function find(): Promise<void> {
  if (getState().entries === undefined) return;
  const number = ++lastFind;
  const found = await studio.find(currentOrder());
  if (number === lastFind) setState({ found });
}

let lastWarn = 0;

async function warn(): Promise<void> {
  if (!isReady()) return;
  const number = ++lastWarn;
  const warnings = await studio.warnings(currentOrder());
  if (number === lastWarn) setState({ warnings });
}

/** Leaves a neighbour out, for this and later prompts. */
export function exclude(id: number): void {
  const { excluded, pinned } = getState().recipe;
  change({ excluded: [...excluded, id], pinned: pinned.filter((other) => other !== id) });
}

export function bringBack(): void {
  change({ excluded: [] });
}

/** Keeps a neighbour whatever the prompt says, or no longer. */
export function togglePin(id: number): void {
  const { pinned } = getState().recipe;
  change({ pinned: pinned.includes(id) ? pinned.filter((other) => other !== id) : [...pinned, id] });
}

export function rollSeed(): void {
  change({ seed: Math.floor(Math.random() * seedLimit) });
}

/** Pixels of a found neighbour. */
export const tile = (id: number) => studio.tile(id);

/** Takes picture files as neighbours, captioned by their names; what is no picture is named. */
export async function addPictures(files: readonly File[]): Promise<void> {
  for (const file of files) {
    const id = nextOwn++;
    try {
      const tile = await studio.addPicture(id, file.name || "the pasted picture", file);
      const stem = file.name
        .replace(/\.[^.]*$/, "")
        .replace(/[-_]+/g, " ")
        .trim();
      const caption = /^(image|untitled|img.*\d|dsc.*\d|)$/i.test(stem) ? "my picture" : stem;
      setState({ own: [...getState().own, { id, caption, tile }].slice(0, 8) });
    } catch (error) {
      complain(error);
    }
  }
  await find();
  await warn();
}

export function renamePicture(id: number, caption: string): void {
  setState({ own: getState().own.map((card) => (card.id === id ? { ...card, caption } : card)) });
  void warn();
}

export function removePicture(id: number): void {
  setState({ own: getState().own.filter((card) => card.id !== id) });
  void studio.removePicture(id);
  void find();
}

/** Draws what the fields say, and puts it into the page's address. */
export async function draw(): Promise<void> {
  const { activity, recipe } = getState();
  if (activity !== "none" || !isReady()) return;
  const order = currentOrder();
  history.replaceState(null, "", `#${linkOf(recipe)}`);
  setState({ activity: "drawing", order, drawn: undefined, step: 0, times: [], notice: undefined });
  setState({ shownNeighbors: order.own.length + (await studio.find(order)).length });
  await finishing(async () => setState({ drawn: await studio.draw(order) }));
}

/** Draws the prompt with several values of eta. */
export async function sweep(): Promise<void> {
  if (getState().activity !== "none" || !isReady()) return;
  const order = currentOrder();
  setState({ activity: "sweeping", sweep: { order, cell: 0, step: 0 }, notice: undefined });
  await finishing(async () => {
    await studio.sweep(order);
  });
}

/** Measures the kernels of one step. */
export async function measure(): Promise<void> {
  if (getState().activity !== "none" || !isReady()) return;
  setState({ activity: "measuring", notice: undefined });
  await finishing(async () => {
    const families = await studio.profile(currentOrder());
    if (families) setState({ families });
  });
}

async function finishing(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    complain(error);
  } finally {
    setState({ activity: "none", compiling: undefined });
  }
}

export function abort(): void {
  void studio.abort();
}

export async function savePicture(): Promise<void> {
  save(await studio.picturePng(), "png");
}

export async function saveSheet(): Promise<void> {
  save(await studio.sheetPng(), "sheet.png");
}

function save(file: Blob, ending: string): void {
  const { prompt, seed } = getState().order!.recipe;
  const stem =
    prompt
      .toLowerCase()
      .replace(/[^\p{L}\p{N}]+/gu, "-")
      .replace(/^-|-$/g, "") || "picture";
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = `${stem}-${seed}.${ending}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Copies the address that draws this picture again. */
export async function copyLink(): Promise<void> {
  const own = getState().order?.own.length ? " Your own pictures are not in it." : "";
  try {
    await navigator.clipboard.writeText(location.href);
    setState({ notice: { words: `The link is copied.${own}` } });
  } catch {
    setState({ notice: { words: `The link is in the address bar.${own}` } });
  }
}

function followLink(): void {
  const linked = recipeOf(location.hash.slice(1));
  if (!linked) return;
  change(linked);
  void draw();
}

/** Drops weights and database from the browser's storage; what is in use stays until the page is closed. */
export async function forget(): Promise<void> {
  await studio.forget();
  await refreshKept();
  setState({ notice: { words: "Weights and pictures are forgotten: the next visit downloads them again." } });
}
