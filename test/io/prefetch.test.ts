// Reading ahead: what comes out is what is in the file, no byte is read twice, and no more is held than was allowed.
import { describe, expect, it } from "vitest";
import { prefetching } from "../../src/io/prefetch.ts";
import { openSafetensors, type Safetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";

const names = ["a", "b", "c", "d"];
const tensors = names.map((name, i) => ({
  name,
  dtype: "U8" as const,
  shape: [100],
  bytes: Uint8Array.from({ length: 100 }, (_, at) => (at * (i + 3)) % 251),
}));

/** A checkpoint that notes what is read of it, and can be made to wait or fail. */
async function watched(change: { hold?: Promise<unknown>; broken?: string } = {}) {
  const whole = await openSafetensors(bytesSource("file", writeSafetensors(tensors)));
  const reads: string[] = [];
  const checkpoint: Safetensors = {
    ...whole,
    async read(name, signal, range) {
      const { offset, length } = range ?? { offset: 0, length: 100 };
      reads.push(`${name} ${offset}-${offset + length}`);
      await change.hold;
      if (name === change.broken) throw new Error("the disk is gone");
      return whole.read(name, signal, range);
    },
  };
  return { checkpoint, reads };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 10));
const bytesOf = (name: string) => tensors[names.indexOf(name)]!.bytes;

describe("what is read ahead", () => {
  it("is as much as is allowed, in the order that was asked for, and is not read again", async () => {
    const { checkpoint, reads } = await watched();
    const ahead = prefetching(checkpoint, 250);
    ahead.start(["c", "none such", "a", "b", "d"]);
    await settled();
    expect(reads.splice(0)).toEqual(["c 0-100", "a 0-100", "b 0-50"]);
    for (const name of ["c", "a"]) expect(await ahead.checkpoint.read(name)).toEqual(bytesOf(name));
    expect(reads).toEqual([]);
    // In pieces, as weights are loaded; the second one is beyond what was read.
    expect(await ahead.checkpoint.read("b", undefined, { offset: 0, length: 40 })).toEqual(bytesOf("b").slice(0, 40));
    expect(reads).toEqual([]);
    expect(await ahead.checkpoint.read("b", undefined, { offset: 40, length: 60 })).toEqual(bytesOf("b").slice(40));
    expect(await ahead.checkpoint.read("d")).toEqual(bytesOf("d"));
    expect(reads.splice(0)).toEqual(["b 40-100", "d 0-100"]);
    // It has been let go of.
    await ahead.checkpoint.read("c");
    expect(reads).toEqual(["c 0-100"]);
  });

  it("stops when the loading begins: a tensor on its way is waited for, and none is begun", async () => {
    let go = () => {};
    const hold = new Promise<void>((resolve) => {
      go = resolve;
    });
    const { checkpoint, reads } = await watched({ hold });
    const ahead = prefetching(checkpoint, 1000);
    ahead.start(names);
    const loading = ahead.checkpoint.read("a");
    go();
    expect(await loading).toEqual(bytesOf("a"));
    await settled();
    expect(reads).toEqual(["a 0-100"]);
  });

  it("is forgotten when it is dropped, and can be begun again", async () => {
    const { checkpoint, reads } = await watched();
    const ahead = prefetching(checkpoint, 100);
    ahead.start(names);
    await settled();
    ahead.drop();
    await ahead.checkpoint.read("a");
    expect(reads.splice(0)).toEqual(["a 0-100", "a 0-100"]);
    ahead.start(["b"]);
    await settled();
    await ahead.checkpoint.read("b");
    expect(reads).toEqual(["b 0-100"]);
  });

  it("leaves what cannot be read to whoever needs it", async () => {
    const { checkpoint } = await watched({ broken: "b" });
    const ahead = prefetching(checkpoint, 1000);
    ahead.start(names);
    await settled();
    expect(await ahead.checkpoint.read("a")).toEqual(bytesOf("a"));
    await expect(ahead.checkpoint.read("b")).rejects.toThrow("the disk is gone");
    expect(await ahead.checkpoint.read("c")).toEqual(bytesOf("c"));
  });
});
