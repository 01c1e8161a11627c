// Byte sources: the same story for memory, a Blob and a file on disk.
import { mkdtemp, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type ByteSource, blobSource, bytesSource } from "../../src/io/source.ts";
import { openFileSource } from "../../src/node/file-source.ts";

const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i % 251);
let folder: string;
let path: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reimagen-source-"));
  path = join(folder, "thousand.bin");
  await writeFile(path, bytes);
});
afterAll(() => rm(folder, { recursive: true }));

const kinds: Record<string, () => Promise<ByteSource>> = {
  memory: async () => bytesSource("thousand.bin", bytes),
  Blob: async () => blobSource("thousand.bin", new Blob([bytes])),
  file: () => openFileSource(path),
};

describe.each(Object.entries(kinds))("a source over a %s", (_, open) => {
  it("reads any range, exactly", async () => {
    const source = await open();
    expect(source.size).toBe(1000);
    expect(await source.read(250, 4)).toEqual(Uint8Array.of(250, 0, 1, 2));
    expect(await source.read(0, 1000)).toEqual(bytes);
    expect(await source.read(1000, 0)).toEqual(new Uint8Array(0));
  });

  it("refuses a range outside itself, naming the numbers", async () => {
    const source = await open();
    for (const [offset, length] of [
      [990, 11],
      [-1, 2],
      [0.5, 1],
      [0, Number.NaN],
    ]) {
      await expect(source.read(offset, length)).rejects.toMatchObject({
        code: "argument",
        message: expect.stringContaining(`${length} bytes at ${offset} lies outside its 1000 bytes`),
      });
    }
  });

  it("reads nothing after an abort", async () => {
    const source = await open();
    await expect(source.read(0, 1, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  });
});

describe("a file on disk", () => {
  it("that is missing or a folder is named", async () => {
    const missing = join(folder, "missing.bin");
    await expect(openFileSource(missing)).rejects.toMatchObject({
      code: "checkpoint",
      message: `${missing} cannot be read: there is no such file`,
    });
    await expect(openFileSource(folder)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("is not a file"),
    });
  });

  it("that shrinks while it is open does not read as zeros", async () => {
    const shrinking = join(folder, "shrinking.bin");
    await writeFile(shrinking, bytes);
    const source = await openFileSource(shrinking);
    await truncate(shrinking, 10);
    await expect(source.read(0, 20)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("shorter"),
    });
    await source.close();
    await expect(source.read(0, 5)).rejects.toMatchObject({ code: "checkpoint" });
  });
});
