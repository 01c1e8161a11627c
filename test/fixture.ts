// Files of the repository, for tests: read from disk in Node, fetched from the test server in a browser.
import { type ByteSource, bytesSource } from "../src/io/source.ts";
import { inNode } from "./gpu.ts";

/** A file by its path from the repository's root. */
export async function fixture(path: string): Promise<ByteSource> {
  return bytesSource(path, await bytesOf(path));
}

/** A text file by its path from the repository's root. */
export async function fixtureText(path: string): Promise<string> {
  return new TextDecoder().decode(await bytesOf(path));
}

async function bytesOf(path: string): Promise<Uint8Array> {
  if (!inNode) return new Uint8Array(await (await fetch(`/${path}`)).arrayBuffer());
  const fsModule = "node:fs/promises";
  const { readFile } = (await import(/* @vite-ignore */ fsModule)) as typeof import("node:fs/promises");
  return new Uint8Array(await readFile(new URL(`../${path}`, import.meta.url)));
}
