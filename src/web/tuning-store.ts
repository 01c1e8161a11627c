// Tunings in the browser's Cache Storage, which workers have too.
import type { TuningStore } from "../graph/tuning.ts";

const storageName = "reimagen-tuning";

/** Tunings of this page's origin; where the browser gives no storage, nothing is kept. */
export const browserTuningStore: TuningStore = {
  async load(adapter) {
    try {
      return await (await (await caches.open(storageName)).match(urlOf(adapter)))?.text();
    } catch {
      return undefined;
    }
  },
  async save(adapter, text) {
    try {
      await (await caches.open(storageName)).put(urlOf(adapter), new Response(text));
    } catch {
      // A private window, or a full disk: they are taken again next time.
    }
  },
};

// Cache Storage files under addresses; this one need not exist.
function urlOf(adapter: string): string {
  return new URL(`/${storageName}/${adapter}.json`, location.href).href;
}
