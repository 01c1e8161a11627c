// Opens a checkpoint folder behind a URL.
import type { ModelFiles } from "../diffusion/engine.ts";
import { type ByteSource, blobSource } from "../io/source.ts";
import { openUrlSource } from "../io/url-source.ts";
import { type FetchOptions, keptFile } from "./storage.ts";

/**
 * The files of a checkpoint folder on a server. Of the weights only what is asked for is fetched, where the server offers ranges; with
 * `cache` they are downloaded whole, once. Errors: aborted, checkpoint naming a file that cannot be read.
 */
export async function fetchModel(folder: string | URL, options: FetchOptions = {}): Promise<ModelFiles> {
  const base = String(folder).replace(/\/*$/, "/");
  const { onProgress: _, ...quiet } = options;
  const [config, tokenizer, weights] = await Promise.all([
    text(`${base}config.json`, quiet),
    text(`${base}tokenizer.json`, quiet),
    options.cache && keptSource(`${base}model.safetensors`, options),
  ]);
  return {
    name: base.slice(0, -1),
    config,
    tokenizer,
    weights: async (signal) => weights || openUrlSource(`${base}model.safetensors`, signal),
  };
}

async function keptSource(url: string, options: FetchOptions): Promise<ByteSource> {
  return blobSource(url, await keptFile(url, options));
}

async function text(url: string, options: FetchOptions): Promise<string> {
  const source = await (options.cache ? keptSource(url, options) : openUrlSource(url, options.signal));
  return new TextDecoder().decode(await source.read(0, source.size, options.signal));
}
