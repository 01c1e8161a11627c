// Reads the beginning of a checkpoint ahead of its loading, while the device is still at work on something else.
import type { Safetensors } from "./safetensors.ts";

/** A checkpoint that can be read ahead. */
export interface Prefetching {
  /** Takes from what was read ahead, and lets go of it then; all else is read as ever. */
  readonly checkpoint: Safetensors;
  /** Begins to read these tensors in this order, as many as the budget allows; stops when the checkpoint is read from. */
  start(names: Iterable<string>): void;
  /** Stops, and lets go of what was read. */
  drop(): void;
}

/** Bytes that are read at a time. */
const pieceBytes = 2 ** 23;

/** A reading ahead: it goes on until it is stopped, and even its read on the way ends when it is dropped. */
interface Run {
  stopped: boolean;
  readonly dropped: AbortController;
}

/** Makes a checkpoint one that can be read ahead; never more than `budget` bytes are held. What cannot be read is left to be found by whoever needs it. */
export function prefetching(checkpoint: Safetensors, budget: number): Prefetching {
  /** The first bytes of each tensor, read or being read. */
  let held = new Map<string, Promise<Uint8Array | undefined>>();
  let current: Run | undefined;

  async function readAhead(names: Iterable<string>, run: Run): Promise<void> {
    let left = budget;
    for (const name of names) {
      const info = checkpoint.tensors.get(name);
      if (!info) continue;
      const length = Math.min(info.end - info.begin, left);
      if (length === 0 || run.stopped) return;
      left -= length;
      const reading = readFirst(checkpoint, name, length, run);
      held.set(name, reading);
      await reading;
    }
  }

  return {
    checkpoint: {
      ...checkpoint,
      async read(name, signal, range) {
        if (current) current.stopped = true;
        const info = checkpoint.tensors.get(name);
        const first = await held.get(name);
        const { offset, length } = range ?? { offset: 0, length: info ? info.end - info.begin : 0 };
        if (!first || offset + length > first.length) {
          held.delete(name);
          return checkpoint.read(name, signal, range);
        }
        if (offset + length === first.length) held.delete(name);
        return first.subarray(offset, offset + length);
      },
    },
    start(names) {
      if (current) return;
      current = { stopped: false, dropped: new AbortController() };
      void readAhead(names, current);
    },
    drop() {
      if (current) current.stopped = true;
      current?.dropped.abort();
      current = undefined;
      held = new Map();
    },
  };
}

/** The first bytes of a tensor, as far as they were read when it was stopped; undefined where they cannot be read. */
async function readFirst(
  checkpoint: Safetensors,
  name: string,
  length: number,
  run: Run,
): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += pieceBytes) {
    const piece = Math.min(pieceBytes, length - offset);
    if (run.stopped && offset > 0) return bytes.subarray(0, offset);
    try {
      bytes.set(await checkpoint.read(name, run.dropped.signal, { offset, length: piece }), offset);
    } catch {
      return offset ? bytes.subarray(0, offset) : undefined;
    }
  }
  return bytes;
}
