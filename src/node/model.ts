// Opens a checkpoint folder on disk.
import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ModelFiles } from "../diffusion/engine.ts";
import { ReimagenError } from "../errors.ts";
import { openFileSource } from "./file-source.ts";

/** The files of a checkpoint folder; the weights are opened when they are read. Throws `checkpoint` naming a file that cannot be read. */
export async function openModel(folder: string): Promise<ModelFiles> {
  const [config, tokenizer] = await Promise.all(
    ["config.json", "tokenizer.json"].map((file) => text(join(folder, file))),
  );
  const weights = () => openFileSource(join(folder, "model.safetensors"));
  return { name: basename(folder), config: config!, tokenizer: tokenizer!, weights };
}

async function text(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new ReimagenError("checkpoint", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
