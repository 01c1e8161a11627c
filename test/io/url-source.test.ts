// A byte source over a URL, on servers with ranges, without, and that misbehave.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { openUrlSource } from "../../src/io/url-source.ts";

const mebibyte = 2 ** 20;
const file = Uint8Array.from({ length: 11 * mebibyte + 123 }, (_, i) => (i * 31 + (i >> 12)) % 251);

let server: Server | undefined;
afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** Starts a server; returns the file's address on it. */
async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const started = createServer(answer);
  server = started;
  await new Promise<void>((listening) => started.listen(0, "127.0.0.1", listening));
  return `http://127.0.0.1:${(started.address() as AddressInfo).port}/model.safetensors`;
}

function rangeOf(request: IncomingMessage): [begin: number, end: number] {
  const [begin, last] = request.headers.range!.match(/\d+/g)!.map(Number);
  return [begin!, Math.min(last! + 1, file.length)];
}

function sendRange(request: IncomingMessage, response: ServerResponse, headers: Record<string, string> = {}): void {
  const [begin, end] = rangeOf(request);
  response.writeHead(206, { "content-range": `bytes ${begin}-${end - 1}/${file.length}`, ...headers });
  response.end(file.subarray(begin, end));
}

describe("a source over a URL", () => {
  it("reads any range exactly, in blocks that are fetched once", async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      asked.push(request.headers.range!);
      sendRange(request, response);
    });
    const source = await openUrlSource(url);
    expect(source.size).toBe(file.length);
    expect(await source.read(0, 8)).toEqual(file.subarray(0, 8));
    expect(await source.read(100, 5000)).toEqual(file.subarray(100, 5100));
    const border = 4 * mebibyte;
    expect(await source.read(border - 7, 20)).toEqual(file.subarray(border - 7, border + 13));
    expect(await source.read(border + 50, 1)).toEqual(file.subarray(border + 50, border + 51));
    expect(await source.read(file.length - 3, 3)).toEqual(file.subarray(-3));
    expect(await source.read(file.length, 0)).toEqual(new Uint8Array(0));
    expect(asked).toEqual(["bytes=0-4194303", "bytes=4194304-8388607", `bytes=8388608-${file.length - 1}`]);
  });

  it("fetches a large tensor in one request of its own", async () => {
    const asked: string[] = [];
    const url = await serve((request, response) => {
      asked.push(request.headers.range!);
      sendRange(request, response);
    });
    const source = await openUrlSource(url);
    const read = await source.read(1000, 9 * mebibyte);
    expect(Buffer.compare(read, file.subarray(1000, 1000 + 9 * mebibyte))).toBe(0);
    expect(asked.slice(1)).toEqual([`bytes=1000-${1000 + 9 * mebibyte - 1}`]);
  });

  it("downloads the whole file, once, where the server knows no ranges", async () => {
    let requests = 0;
    const url = await serve((_, response) => {
      requests++;
      response.end(file);
    });
    const source = await openUrlSource(url);
    expect(source.size).toBe(file.length);
    expect(await source.read(5 * mebibyte, 10)).toEqual(file.subarray(5 * mebibyte, 5 * mebibyte + 10));
    expect(requests).toBe(1);
  });

  it("downloads the whole file where the server hides its size, as across origins", async () => {
    const url = await serve((request, response) => {
      if (!request.headers.range) return response.end(file);
      const [begin, end] = rangeOf(request);
      response.writeHead(206).end(file.subarray(begin, end));
    });
    const source = await openUrlSource(url);
    expect(source.size).toBe(file.length);
    expect(await source.read(7 * mebibyte, 3)).toEqual(file.subarray(7 * mebibyte, 7 * mebibyte + 3));
  });

  it("refuses a range outside itself without asking the server", async () => {
    const source = await openUrlSource(await serve(sendRange));
    await expect(source.read(file.length, 1)).rejects.toMatchObject({
      code: "argument",
      message: expect.stringContaining(`1 bytes at ${file.length} lies outside`),
    });
  });

  it("names the file, without its address's secrets, and the status when the server refuses", async () => {
    const url = await serve((_, response) => response.writeHead(404).end("no such model"));
    await expect(openUrlSource(`${url}?signature=secret`)).rejects.toMatchObject({
      code: "checkpoint",
      message: `${url} cannot be read: the server answers 404`,
    });
  });

  it("says so when there is no server", async () => {
    const url = await serve(sendRange);
    await new Promise((closed) => server!.close(closed));
    await expect(openUrlSource(url)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("never mixes two versions of a file", async () => {
    let version = "1";
    const url = await serve((request, response) => sendRange(request, response, { etag: `"${version}"` }));
    const source = await openUrlSource(url);
    version = "2";
    expect(await source.read(0, 4)).toEqual(file.subarray(0, 4));
    await expect(source.read(5 * mebibyte, 4)).rejects.toMatchObject({
      code: "checkpoint",
      message: `${url} has changed on the server while being read`,
    });
  });

  it("does not take an answer that breaks off, or is short, for the file", async () => {
    let breaks = false;
    const url = await serve((request, response) => {
      const [begin, end] = rangeOf(request);
      const headers = { "content-range": `bytes ${begin}-${end - 1}/${file.length}` };
      if (breaks) {
        response.writeHead(206, { ...headers, "content-length": end - begin });
        response.write(file.subarray(begin, begin + 10), () => response.destroy());
      } else response.writeHead(206, headers).end(file.subarray(begin, begin === 0 ? end : end - 1));
    });
    const source = await openUrlSource(url);
    await expect(source.read(5 * mebibyte, 4)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("4194304 bytes at 4194304 were asked for, and 4194303 came"),
    });
    breaks = true;
    await expect(source.read(5 * mebibyte, 4)).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("cannot be read"),
    });
  });

  it("stops at an abort, before and during a fetch, and works again afterwards", async () => {
    let hangs = false;
    const arrived: (() => void)[] = [];
    const url = await serve((request, response) => {
      if (!hangs) return sendRange(request, response);
      arrived.forEach((tell) => {
        tell();
      });
    });
    await expect(openUrlSource(url, AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
    const source = await openUrlSource(url);
    hangs = true;
    const abort = new AbortController();
    arrived.push(() => abort.abort());
    await expect(source.read(5 * mebibyte, 4, abort.signal)).rejects.toMatchObject({ code: "aborted" });
    hangs = false;
    expect(await source.read(5 * mebibyte, 4)).toEqual(file.subarray(5 * mebibyte, 5 * mebibyte + 4));
  });
});
