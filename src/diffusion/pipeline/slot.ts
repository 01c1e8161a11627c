// A part of a pipeline with its checkpoint: brought to the device when it is needed, and kept there or not.
import type { Gpu } from "../../gpu/gpu.ts";
import { compileGraph } from "../../graph/compile.ts";
import { compileAhead, type ExecutorOptions } from "../../graph/executor.ts";
import { type Graph, weightsOf } from "../../graph/graph.ts";
import type { Folder } from "../../io/folder.ts";
import { type Prefetching, prefetching } from "../../io/prefetch.ts";
import { hasQuantized, scaleName } from "../../io/quantized.ts";
import { makeResident, type Resident } from "../resident.ts";
import type { Storage } from "./memory.ts";
import { loadablePart, openPart, type Part } from "./parts.ts";

/** A part, and where it is if it is on the device. */
export interface Slot<Shape> {
  readonly make: (storage: Storage) => Part<Shape>;
  readonly checkpoint: Prefetching;
  readonly storage: Storage;
  resident: Resident<Shape> | undefined;
}

/** How a part is to be kept; weights in 8 bits where the checkpoint's are, else as activations, unless told otherwise. */
export interface Wanted {
  readonly activations: "f32" | "f16";
  readonly weights?: "f32" | "f16" | "q8" | undefined;
}

/** Opens a part's checkpoint, reading headers only. Throws what `openPart` throws. */
export async function openSlot<Shape>(
  folder: Folder,
  make: (storage: Storage) => Part<Shape>,
  { activations, weights }: Wanted,
  signal?: AbortSignal,
): Promise<Slot<Shape>> {
  const checkpoint = await openPart(folder, make({ activations, weights: activations }), signal);
  const written = hasQuantized(checkpoint) ? "q8" : activations;
  const storage = { activations, weights: weights ?? written };
  return { make, checkpoint: prefetching(checkpoint, aheadBytes), storage, resident: undefined };
}

/** Held of a part while the one before it is at work: little beside either, and the whole of a small one. */
const aheadBytes = 2 ** 27;

/** Begins with what a part will need, while the one before it is at work: compiles its kernels, and reads the first of its weights. */
export function prepareSlot<Shape>(gpu: Gpu, slot: Slot<Shape>, graphs: readonly Graph[]): void {
  if (slot.resident) return;
  const part = slot.make(slot.storage);
  const names = weightsOf(part.graph(part.probe)).flatMap(({ source }) =>
    source.kind === "weight" ? source.weight.names.flatMap((name) => [name, scaleName(name)]) : [],
  );
  slot.checkpoint.start(names);
  for (const graph of graphs) compileAhead(gpu, compileGraph(graph, gpu.traits));
}

/** What is told while a part is prepared, and what stops it. */
export interface SlotOptions {
  readonly onLoad?: (part: string, loaded: number, total: number) => void;
  readonly onCompile?: (part: string, done: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/** Runs `use` with a part on the device: it is loaded before, and freed afterwards unless `keep` says so. Throws what loading and `use` throw. */
export async function withSlot<Shape, T>(
  gpu: Gpu,
  slot: Slot<Shape>,
  keep: () => boolean,
  { onLoad, onCompile, signal }: SlotOptions,
  use: (resident: Resident<Shape>, compiling: ExecutorOptions) => Promise<T>,
): Promise<T> {
  const part = slot.make(slot.storage);
  slot.resident ??= await makeResident(gpu, loadablePart(gpu, slot.checkpoint.checkpoint, part), {
    ...(signal && { signal }),
    ...(onLoad && { onProgress: (loaded, total) => onLoad(part.name, loaded, total) }),
  }).finally(() => slot.checkpoint.drop());
  const resident = slot.resident;
  try {
    return await use(resident, {
      ...(signal && { signal }),
      ...(onCompile && { onProgress: (done, total) => onCompile(part.name, done, total) }),
    });
  } finally {
    if (!keep()) {
      resident.dispose();
      slot.resident = undefined;
    }
  }
}
