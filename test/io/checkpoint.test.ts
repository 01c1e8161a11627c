// Checkpoint folders as users have them: one file or shards, on disk, behind a URL or handed to a page; and each way of being broken.
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { openCheckpoint, selectTensors } from "../../src/io/checkpoint.ts";
import { type Folder, filesFolder, readText, subfolder, urlFolder } from "../../src/io/folder.ts";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { openFolder } from "../../src/node/folder.ts";

const tensor = (name: string, ...values: number[]) => ({
  name,
  dtype: "F32" as const,
  shape: [values.length],
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const first = writeSafetensors([tensor("a", 1, 2), tensor("b", 3)]);
const second = writeSafetensors([tensor("c", 4, 5, 6)]);
const index = (map: unknown) =>
  new TextEncoder().encode(JSON.stringify({ metadata: { total_size: 24 }, weight_map: map }));
const homes = { a: "model-1.safetensors", b: "model-1.safetensors", c: "model-2.safetensors" };

type Files = Record<string, Uint8Array>;
const sharded: Files = {
  "model.safetensors.index.json": index(homes),
  "model-1.safetensors": first,
  "model-2.safetensors": second,
};

function memoryFolder(files: Files): Folder {
  return { name: "unet", open: async (path) => files[path] && bytesSource(`unet/${path}`, files[path]) };
}

const floats = (bytes: Uint8Array) => [...new Float32Array(bytes.slice().buffer)];

const cleanups: (() => unknown)[] = [];
afterAll(async () => {
  for (const cleanup of cleanups) await cleanup();
});

async function onDisk(files: Files): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "reimagen-checkpoint-"));
  cleanups.push(() => rm(path, { recursive: true }));
  for (const [name, bytes] of Object.entries(files)) await writeFile(join(path, name), bytes);
  return path;
}

async function served(files: Files): Promise<string> {
  const server = createServer((request, response) => {
    const bytes = files[request.url!.replace("/model/", "")];
    response.statusCode = bytes ? 200 : 404;
    response.end(bytes);
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  cleanups.push(() => server.close());
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/model/`;
}

describe("shards are one checkpoint", () => {
  const expectWhole = async (folder: Folder) => {
    const checkpoint = await openCheckpoint(folder);
    expect([...checkpoint.tensors.keys()].sort()).toEqual(["a", "b", "c"]);
    expect(floats(await checkpoint.read("b"))).toEqual([3]);
    expect(floats(await checkpoint.read("c"))).toEqual([4, 5, 6]);
    await expect(checkpoint.read("d")).rejects.toMatchObject({ code: "tensor" });
  };

  it("on disk", async () => {
    const folder = await openFolder(await onDisk(sharded));
    await expectWhole(folder);
    await folder.close();
  });

  it("behind a URL, where a missing file is a 404", async () => expectWhole(urlFolder(await served(sharded))));

  it("handed to a page, as a folder or as loose files", async () => {
    const files = Object.entries(sharded).map(([name, bytes]) => new File([bytes.slice().buffer], name));
    await expectWhole(filesFolder("dropped", files));
    const inside = files.map((file) =>
      Object.assign(file, { webkitRelativePath: `my model/text_encoder/${file.name}` }),
    );
    await expectWhole(subfolder(filesFolder("my model", inside), "text_encoder"));
  });
});

it("a single file comes before shards, full precision before half, and half precision is better than nothing", async () => {
  const open = async (files: Files) => [...(await openCheckpoint(memoryFolder(files))).tensors.keys()];
  const half = writeSafetensors([tensor("half", 1)]);
  expect(await open({ ...sharded, "diffusion_pytorch_model.safetensors": second })).toEqual(["c"]);
  expect(await open({ ...sharded, "model.fp16.safetensors": half })).toEqual(["a", "b", "c"]);
  expect(await open({ "model.fp16.safetensors": half })).toEqual(["half"]);
  expect(await open({ "model.safetensors.index.fp16.json": index(homes), ...sharded })).toEqual(["a", "b", "c"]);
});

describe("a broken folder is refused in one sentence", () => {
  const without = (name: string): Files =>
    Object.fromEntries(Object.entries(sharded).filter(([file]) => file !== name));
  const indexed = (map: unknown): Files => ({ ...sharded, "model.safetensors.index.json": index(map) });
  it.each<[string, Files, string]>([
    ["nothing there", {}, "unet: there are no weights, neither diffusion_pytorch_model.safetensors nor"],
    [
      "a pickle only",
      { "diffusion_pytorch_model.bin": first },
      "diffusion_pytorch_model.bin can run code when it is read",
    ],
    [
      "a missing shard",
      without("model-2.safetensors"),
      "shard model-2.safetensors, which model.safetensors.index.json names, is",
    ],
    [
      "a truncated shard",
      { ...sharded, "model-1.safetensors": first.subarray(0, -2) },
      "the file is truncated or damaged",
    ],
    [
      "a truncated file",
      { "model.safetensors": first.subarray(0, 40) },
      "unet/model.safetensors: the file is truncated",
    ],
    ["an index that is no JSON", { ...sharded, "model.safetensors.index.json": first }, "model.safetensors.index.json"],
    ["an index without a map", indexed(undefined), "the index has no weight_map from tensors to files"],
    ["an empty index", indexed({}), "the index has no weight_map from tensors to files"],
    [
      "a tensor that its shard lacks",
      indexed({ ...homes, d: homes.c }),
      "shard model-2.safetensors lacks the tensor d",
    ],
    [
      "a tensor in the wrong shard",
      indexed({ ...homes, b: homes.c }),
      "has a tensor b, which model.safetensors.index.json places in model-2",
    ],
    [
      "a tensor that the index forgets",
      indexed({ a: homes.a, c: homes.c }),
      "has a tensor b, which model.safetensors.index.json places in no",
    ],
    [
      "a shard outside the folder",
      indexed({ ...homes, a: "../secret.safetensors" }),
      'places tensor a in "../secret.safetensors", not a',
    ],
    ["a shard that is a number", indexed({ ...homes, a: 1 }), "places tensor a in 1, not a safetensors file"],
  ])("%s", async (_, files, message) => {
    const opening = openCheckpoint(memoryFolder(files));
    await expect(opening).rejects.toMatchObject({ code: "checkpoint" });
    await expect(opening).rejects.toThrow(message);
  });

  it("no folder at all, on disk; a server in trouble, behind a URL", async () => {
    await expect(openFolder("/no/such/folder")).rejects.toThrow(
      "/no/such/folder cannot be read: there is no such folder",
    );
    const server = createServer((_, response) => response.writeHead(500).end());
    await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
    cleanups.push(() => server.close());
    const folder = urlFolder(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await expect(openCheckpoint(folder)).rejects.toThrow("the server answers 500");
  });

  it("a text file that is missing or no text", async () => {
    await expect(readText(memoryFolder({}), "config.json")).rejects.toThrow("unet has no file config.json");
    const folder = memoryFolder({ "config.json": Uint8Array.of(0xff) });
    await expect(readText(folder, "config.json")).rejects.toThrow("unet/config.json is not UTF-8 text");
  });
});

it("part of a checkpoint can be taken under other names, but no two tensors under one", async () => {
  const checkpoint = await openCheckpoint(memoryFolder(sharded));
  const part = selectTensors(checkpoint, (name) => (name === "a" ? undefined : `new.${name}`));
  expect([...part.tensors.keys()]).toEqual(["new.b", "new.c"]);
  expect(part.tensors.get("new.c")).toMatchObject({ name: "new.c", shape: [3] });
  expect(floats(await part.read("new.b"))).toEqual([3]);
  await expect(part.read("b")).rejects.toMatchObject({ code: "tensor" });
  expect(() => selectTensors(checkpoint, () => "same")).toThrow("tensors a and b both stand for same");
});
