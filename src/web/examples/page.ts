// What the examples share: the page's own GPU device, where the weights lie, and words for people.
import {
  fetchDatabase,
  fetchModel,
  type ModelFiles,
  type NeighborDatabase,
  type NeighborPicture,
  ReimagenError,
  usefulFeatures,
} from "../../index.ts";

// Beside the built pages.
const weights = new URL("../../weights/", location.href);

/** Denoising steps: `?steps=` in the address, or the shipped model's 20. */
export const steps = Number(new URLSearchParams(location.search).get("steps") ?? 20);

/** A device as any WebGPU app asks for it, with the features that make drawing faster. Throws `no-adapter`. */
export async function requestDevice(): Promise<GPUDevice> {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) throw new ReimagenError("no-adapter", "this browser offers no WebGPU adapter");
  const requiredFeatures = usefulFeatures.filter((name) => adapter.features.has(name));
  return adapter.requestDevice({ requiredFeatures });
}

/** The shipped model and its neighbour database, which the browser keeps for the next visit; says how far the download is. */
export function fetchShipped(): Promise<[ModelFiles, NeighborDatabase]> {
  const onProgress = (loaded: number, total: number) =>
    say(`Fetching the model: ${Math.round((100 * loaded) / total)}%`);
  return Promise.all([
    fetchModel(new URL("emoji-64", weights), { cache: true, onProgress }),
    fetchDatabase(new URL("emoji-db", weights), { cache: true }),
  ]);
}

/** The two best neighbours of a prompt: with them the model can draw what it never learned. */
export function neighborsOf(database: NeighborDatabase, prompt: string): Promise<NeighborPicture[]> {
  const found = database.search(prompt, { k: 2 });
  return Promise.all(
    found.map(async ({ entry }) => ({ picture: await database.picture(entry), caption: entry.caption })),
  );
}

/** Shows a sentence, or an error with what to do about it, in the page's `#status`; an empty one hides it. */
export function say(words: unknown): void {
  const status = document.querySelector("#status") as HTMLElement;
  status.textContent = typeof words === "string" ? words : explain(words);
  status.hidden = status.textContent === "";
}

/** Lets the page's `#source` link open a program text, wherever the page is hosted. */
export function linkSource(text: string): void {
  const link = document.querySelector("#source") as HTMLAnchorElement;
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain;charset=utf-8" }));
}

function explain(error: unknown): string {
  if (error instanceof ReimagenError && error.code === "no-adapter") return webGpuMissing;
  const sentence = error instanceof Error ? error.message : String(error);
  const lost = error instanceof ReimagenError && error.code === "device-lost";
  return lost ? `${sentence.replace(/\.*$/, "")}. Reload the page to go on.` : sentence;
}

const webGpuMissing =
  "This page needs WebGPU, and the browser offers none. Chrome and Edge have it from version 113 (on Linux, switch on “Vulkan” and " +
  "“Unsafe WebGPU Support” in chrome://flags), Safari from 26, Firefox from 141 on Windows. The address must begin with https or be localhost.";
