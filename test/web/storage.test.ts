// What a page keeps of a server's files: nothing is downloaded twice, nothing goes stale, and a browser that keeps nothing still works.
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { fetchModel, forgetFiles, keptBytes } from "../../src/index.ts";

const folder = "https://models.example/tiny";
let files: Record<string, string>;
let version: number;
/** What the server was asked, as "HEAD config.json". */
let asked: string[];

beforeEach(async () => {
  await forgetFiles();
  files = { "config.json": "{}", "tokenizer.json": "{ }", "model.safetensors": "weights ".repeat(1000) };
  version = 1;
  asked = [];
  vi.spyOn(globalThis, "fetch").mockImplementation(async (input, init) => {
    const name = String(input).split("/").at(-1)!;
    asked.push(`${init?.method ?? "GET"} ${name}`);
    const text = files[name];
    if (text === undefined) return new Response(null, { status: 404 });
    const headers = { ETag: `"${version}"`, "Content-Length": String(text.length) };
    return new Response(init?.method === "HEAD" ? null : text, { headers });
  });
});
afterEach(() => vi.restoreAllMocks());

const downloads = () => asked.filter((request) => request.startsWith("GET"));

/** The model's weights as text, after a visit that may be told what went wrong. */
async function visit(onWarning?: (sentence: string) => void): Promise<string> {
  asked = [];
  const model = await fetchModel(folder, { cache: true, ...(onWarning && { onWarning }) });
  const source = await model.weights();
  return new TextDecoder().decode(await source.read(0, source.size));
}

it("the second visit downloads nothing, and says so in its progress", async () => {
  const progress: [number, number][] = [];
  await fetchModel(folder, { cache: true, onProgress: (loaded, total) => progress.push([loaded, total]) });
  expect(downloads().sort()).toEqual(["GET config.json", "GET model.safetensors", "GET tokenizer.json"]);
  expect(progress[0]).toEqual([0, 8000]);
  expect(progress.at(-1)).toEqual([8000, 8000]);
  expect(await keptBytes()).toBe(8005);

  expect(await visit()).toBe(files["model.safetensors"]);
  expect(downloads()).toEqual([]);
});

it("a server that cannot be reached, or that does not tell versions, leaves what is kept in use", async () => {
  const before = await visit();
  vi.mocked(fetch).mockRejectedValue(new TypeError("Failed to fetch"));
  expect(await visit()).toBe(before);
  vi.mocked(fetch).mockResolvedValue(new Response(null, { status: 405 }));
  expect(await visit()).toBe(before);
});

it("a file that has changed on the server is downloaded again, also where only its size tells", async () => {
  await visit();
  version = 2;
  files["model.safetensors"] = "others";
  expect(await visit()).toBe("others");
  expect(downloads()).toHaveLength(3);
  vi.mocked(fetch).mockImplementation(async (_, init) => {
    return new Response(init?.method === "HEAD" ? null : "{}", { headers: { "Content-Length": "2" } });
  });
  expect(await visit()).toBe("{}");
});

it("a browser without storage, or with a full one, draws all the same and is told why it waits again", async () => {
  const warnings: string[] = [];
  vi.spyOn(Cache.prototype, "put").mockRejectedValue(new DOMException("full", "QuotaExceededError"));
  expect(await visit((sentence) => warnings.push(sentence))).toBe(files["model.safetensors"]);
  expect(warnings[0]).toContain("its storage is full");
  vi.spyOn(CacheStorage.prototype, "open").mockRejectedValue(new DOMException("denied", "SecurityError"));
  expect(await visit((sentence) => warnings.push(sentence))).toBe(files["model.safetensors"]);
  expect(warnings.at(-1)).toContain("no storage");
  expect(await keptBytes()).toBe(0);
});

it("a file that is missing is named, and an abort is an abort", async () => {
  delete files["tokenizer.json"];
  await expect(fetchModel(folder, { cache: true })).rejects.toMatchObject({
    code: "checkpoint",
    message: expect.stringMatching(/tokenizer\.json.*404/),
  });
  vi.mocked(fetch).mockImplementation(async (_, init) => {
    init?.signal?.throwIfAborted();
    return new Response("{}");
  });
  const signal = AbortSignal.abort();
  await expect(fetchModel(folder, { cache: true, signal })).rejects.toMatchObject({ code: "aborted" });
});

it("what was forgotten is downloaded again", async () => {
  await visit();
  await forgetFiles();
  expect(await keptBytes()).toBe(0);
  await visit();
  expect(downloads()).toHaveLength(3);
});
