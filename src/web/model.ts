// Opens a checkpoint folder behind a URL.
import type { ModelFiles } from "../diffusion/engine.ts";
import { openUrlSource } from "../io/url-source.ts";

/**
 * The files of a checkpoint folder on a server; of the weights only what is asked for is fetched, where the server offers ranges.
 * Errors: aborted, checkpoint naming a file that cannot be read.
 */
export async function fetchModel(folder: string | URL, signal?: AbortSignal): Promise<ModelFiles> {
  const base = String(folder).replace(/\/*$/, "/");
  const [config, tokenizer] = await Promise.all([
    text(`${base}config.json`, signal),
    text(`${base}tokenizer.json`, signal),
  ]);
  const weights = (signal?: AbortSignal) => openUrlSource(`${base}model.safetensors`, signal);
  return { name: base.slice(0, -1), config, tokenizer, weights };
}

async function text(url: string, signal?: AbortSignal): Promise<string> {
  const source = await openUrlSource(url, signal);
  return new TextDecoder().decode(await source.read(0, source.size, signal));
}
