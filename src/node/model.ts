// Opens a checkpoint folder on disk.
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ModelFiles } from "../diffusion/engine.ts";
import { ReimagenError } from "../errors.ts";
import { openFileSource } from "./file-source.ts";

/** The files of a checkpoint folder; the weights are opened when they are read. Throws `checkpoint` naming a file that cannot be read. */
export async function openModel(folder: string): Promise<ModelFiles> {
  // One after the other, so that a folder that lacks both always has the same error.
  const config = await text(join(folder, "config.json"));
  const tokenizer = await text(join(folder, "tokenizer.json"));
  const weights = () => openFileSource(join(folder, "model.safetensors"));
  return { name: basename(folder), config, tokenizer, weights };
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ReimagenError("checkpoint", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
