// What a page keeps of its measurements: they are there at the next visit, under the adapter's own name, and a browser without storage draws all the same.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { browserTuningStore, loadTuning, saveTuning, type Tuning } from "../../src/index.ts";

const adapter = (device: string) => ({ vendor: "acme", architecture: "one", device, description: "driver 1.0" });
const measured: Tuning = new Map([
  ["linear f32[2,4]", { ranking: [{ variant: "tiled", milliseconds: 0.5 }], wrong: ["simple"] }],
]);
const load = (device: string) => loadTuning(browserTuningStore, adapter(device) as GPUAdapterInfo);
const save = (device: string, tuning: Tuning) =>
  saveTuning(browserTuningStore, adapter(device) as GPUAdapterInfo, tuning);

const forget = async () => {
  for (const name of await caches.keys()) await caches.delete(name);
};
beforeEach(forget);
afterEach(async () => {
  vi.restoreAllMocks();
  await forget();
});

it("finds an adapter's measurements at the next visit, and those of no other", async () => {
  expect(await load("left")).toEqual(new Map());
  await save("left", measured);
  expect(await load("left")).toEqual(measured);
  expect(await load("right")).toEqual(new Map());
  await save("left", new Map());
  expect(await load("left")).toEqual(new Map());
});

it("takes damaged measurements for none", async () => {
  await save("left", measured);
  const [name] = await caches.keys();
  const cache = await caches.open(name!);
  const [kept] = await cache.keys();
  await cache.put(kept!, new Response("half a fi"));
  expect(await load("left")).toEqual(new Map());
});

it("does without storage where the browser gives none", async () => {
  vi.spyOn(caches, "open").mockRejectedValue(new DOMException("denied", "SecurityError"));
  await save("left", measured);
  expect(await load("left")).toEqual(new Map());
});
