// A checkpoint folder on a server, kept in the browser: large files range by range, and nothing that was read comes twice.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { fetchFolder } from "../../src/diffusers.ts";
import { type ByteSource, forgetFiles, keptBytes } from "../../src/index.ts";

const mebibyte = 2 ** 20;
const bytesOf = (length: number, factor: number) =>
  Uint8Array.from({ length }, (_, i) => (i * factor + (i >> 12)) % 251);
const weights = "unet/model.safetensors";
let files: Record<string, Uint8Array<ArrayBuffer>>;
let version: number;
/** What the server was asked. */
let asked: string[];

beforeEach(async () => {
  await forgetFiles();
  files = { "model_index.json": bytesOf(20, 1), [weights]: bytesOf(11 * mebibyte + 123, 31) };
  version = 1;
  asked = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const name = String(input).split("/models/tiny/")[1]!;
    const range = new Headers(init?.headers).get("range");
    asked.push(`${init?.method ?? "GET"} ${name}${range ? ` ${range}` : ""}`);
    init?.signal?.throwIfAborted();
    const file = files[name];
    if (!file) return new Response(null, { status: 404 });
    const headers = { ETag: `"${version}"` };
    if (init?.method === "HEAD")
      return new Response(null, { headers: { ...headers, "Content-Length": String(file.length) } });
    if (!range) return new Response(file, { headers });
    const [begin, last] = range.match(/\d+/g)!.map(Number) as [number, number];
    const part = file.slice(begin, last + 1);
    const told = { "Content-Range": `bytes ${begin}-${begin + part.length - 1}/${file.length}` };
    return new Response(part, { status: 206, headers: { ...headers, ...told } });
  });
});
afterEach(() => vi.restoreAllMocks());

const downloads = () => asked.filter((request) => request.startsWith("GET"));
const offline = () => vi.mocked(fetch).mockRejectedValue(new TypeError("Failed to fetch"));

/** Two small tensors and a large one, after a visit of its own. */
async function visit(onWarning?: (sentence: string) => void): Promise<void> {
  asked = [];
  const folder = fetchFolder("/models/tiny", { cache: true, ...(onWarning && { onWarning }) });
  const index = (await folder.open("model_index.json"))!;
  expect(await index.read(0, index.size)).toEqual(files["model_index.json"]);
  expect(await folder.open("unet/model.safetensors.index.json")).toBeUndefined();
  const file = (await folder.open(weights))!;
  expect(file.size).toBe(files[weights]!.length);
  for (const [offset, length] of [
    [0, 8],
    [4 * mebibyte - 7, 20],
    [5 * mebibyte, 6 * mebibyte],
  ] as const)
    expect(await firstDifference(file, offset, length)).toBe(-1);
}

/** Where the source differs from the server's file, or -1. */
async function firstDifference(source: ByteSource, offset: number, length: number): Promise<number> {
  const bytes = await source.read(offset, length);
  return bytes.length === length ? bytes.findIndex((byte, i) => byte !== files[weights]![offset + i]) : bytes.length;
}

it("the second visit downloads nothing, also without a network", async () => {
  await visit();
  expect(downloads().filter((request) => request.includes("bytes")).length).toBeGreaterThan(0);
  // Two blocks and one range of a file of 11 MiB, and the index.
  expect(await keptBytes()).toBe(8 * mebibyte + 6 * mebibyte + 20);
  await visit();
  expect(downloads().filter((request) => !request.includes("index.json"))).toEqual([]);
  offline();
  await visit();
});

it("what was not read at the first visit comes from the server at the second", async () => {
  await visit();
  const file = (await fetchFolder("/models/tiny", { cache: true }).open(weights))!;
  expect(await file.read(9 * mebibyte, 10)).toEqual(files[weights]!.subarray(9 * mebibyte, 9 * mebibyte + 10));
});

it("a file that has changed on the server is read anew, and not mixed when it changes in between", async () => {
  await visit();
  version = 2;
  files[weights] = bytesOf(11 * mebibyte + 123, 17);
  await visit();
  const file = (await fetchFolder("/models/tiny", { cache: true }).open(weights))!;
  version = 3;
  await expect(file.read(9 * mebibyte, 10)).rejects.toMatchObject({
    code: "checkpoint",
    message: expect.stringContaining("has changed"),
  });
});

it("a browser without storage, or with a full one, reads all the same and says why it waits again", async () => {
  const warnings: string[] = [];
  vi.spyOn(Cache.prototype, "put").mockRejectedValue(new DOMException("full", "QuotaExceededError"));
  await visit((sentence) => warnings.push(sentence));
  expect(warnings[0]).toContain("its storage is full");
  vi.spyOn(CacheStorage.prototype, "open").mockRejectedValue(new DOMException("denied", "SecurityError"));
  await visit((sentence) => warnings.push(sentence));
  expect(warnings.at(-1)).toContain("no storage");
  expect(await keptBytes()).toBe(0);
});

it("an abort is an abort, and the next read goes on", async () => {
  const file = (await fetchFolder("/models/tiny", { cache: true }).open(weights))!;
  await expect(file.read(0, 8, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
  expect(await file.read(0, 8)).toEqual(files[weights]!.subarray(0, 8));
});
