// Tunings as files, one an adapter.
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import type { TuningStore } from "../graph/tuning.ts";
import { writeFileAtomically } from "./files.ts";
import { cacheFolder } from "./software-adapter.ts";

/** Tunings in a folder; by default in the user's cache. Errors: output. */
export function fileTuningStore(folder: string = join(cacheFolder(), "tuning")): TuningStore {
  const fileOf = (adapter: string) => join(folder, `${adapter}.json`);
  return {
    load: (adapter) => readFile(fileOf(adapter), "utf8").catch(() => undefined),
    async save(adapter, text) {
      await mkdir(folder, { recursive: true }).catch(() => undefined);
      await writeFileAtomically(fileOf(adapter), text);
    },
  };
}
