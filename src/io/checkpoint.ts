// The weights in a checkpoint folder as its users have it: one safetensors file, or several with an index.

import { ReimagenError } from "../errors.ts";
import { type Folder, readText } from "./folder.ts";
import { openSafetensors, type Safetensors, type TensorInfo } from "./safetensors.ts";
import type { ByteSource } from "./source.ts";

// Names of diffusers and of transformers; half precision only where it is all there is.
const stems = ["diffusion_pytorch_model", "model"];
const candidates = stems.flatMap((stem) => [
  `${stem}.safetensors`,
  `${stem}.safetensors.index.json`,
  `${stem}.fp16.safetensors`,
  `${stem}.safetensors.index.fp16.json`,
]);

const pickles = ["diffusion_pytorch_model.bin", "pytorch_model.bin"];

/**
 * Opens the weights of one component, such as the folder `unet` of a pipeline, reading headers only; tensors are read one at a time on
 * demand. A tensor's `begin` and `end` count from its own file's header. Errors: aborted, checkpoint (no weights, a missing shard, an
 * index that contradicts its shards, a damaged file).
 */
export async function openCheckpoint(folder: Folder, signal?: AbortSignal): Promise<Safetensors> {
  const found = await findWeights(folder, signal);
  return found.index ? openShards(folder, found, signal) : openSafetensors(found.source, signal);
}

/** Where a folder's weights are. */
export interface WeightsFile {
  /** The file's name, or its index's. */
  readonly name: string;
  readonly source: ByteSource;
  /** Where they are in shards: the file of each tensor. */
  readonly index?: ReadonlyMap<string, string>;
}

/** Finds the weights of one component, a file or an index. Errors: those of `openCheckpoint`. */
export async function findWeights(folder: Folder, signal?: AbortSignal): Promise<WeightsFile> {
  for (const name of candidates) {
    const source = await folder.open(name, signal);
    if (!source) continue;
    if (!name.endsWith(".json")) return { name, source };
    return { name, source, index: parseIndex(`${folder.name}/${name}`, await readText(folder, name, signal)) };
  }
  for (const pickle of pickles)
    if (await folder.open(pickle, signal))
      throw invalid(
        folder.name,
        `${pickle} can run code when it is read: safetensors are needed, as diffusers saves them`,
      );
  throw invalid(folder.name, `there are no weights, neither ${candidates.join(" nor ")}`);
}

/** The tensors to which `rename` gives a name, under that name. Errors: checkpoint (two tensors of one name). */
export function selectTensors(checkpoint: Safetensors, rename: (name: string) => string | undefined): Safetensors {
  const tensors = new Map<string, TensorInfo>();
  const original = new Map<string, string>();
  for (const info of checkpoint.tensors.values()) {
    const name = rename(info.name);
    if (name === undefined) continue;
    if (original.has(name))
      throw invalid(checkpoint.name, `tensors ${original.get(name)} and ${info.name} both stand for ${name}`);
    original.set(name, info.name);
    tensors.set(name, { ...info, name });
  }
  return {
    ...checkpoint,
    tensors,
    async read(name, signal, range) {
      const stored = original.get(name);
      if (stored === undefined) throw new ReimagenError("tensor", `${checkpoint.name} has no tensor "${name}"`);
      return checkpoint.read(stored, signal, range);
    },
  };
}

async function openShards(
  folder: Folder,
  { name: index, index: homes = new Map() }: WeightsFile,
  signal?: AbortSignal,
): Promise<Safetensors> {
  const shards = new Map<string, Safetensors>();
  const tensors = new Map<string, TensorInfo>();
  for (const file of new Set(homes.values())) {
    const source = await folder.open(file, signal);
    if (!source) throw invalid(folder.name, `shard ${file}, which ${index} names, is missing`);
    const shard = await openSafetensors(source, signal);
    shards.set(file, shard);
    for (const info of shard.tensors.values()) {
      if (homes.get(info.name) !== file)
        throw invalid(
          folder.name,
          `shard ${file} has a tensor ${info.name}, which ${index} places in ${homes.get(info.name) ?? "no shard"}`,
        );
      tensors.set(info.name, info);
    }
  }
  for (const [name, file] of homes)
    if (!tensors.has(name)) throw invalid(folder.name, `shard ${file} lacks the tensor ${name}, which ${index} names`);
  return {
    name: `${folder.name}/${index}`,
    metadata: Object.assign({}, ...[...shards.values()].map(({ metadata }) => metadata)),
    tensors,
    async read(name, signal, range) {
      const shard = shards.get(homes.get(name) ?? "");
      if (!shard) throw new ReimagenError("tensor", `${folder.name}/${index} has no tensor "${name}"`);
      return shard.read(name, signal, range);
    },
  };
}

/** The shard of each tensor. */
function parseIndex(name: string, text: string): Map<string, string> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw invalid(name, "the index is not JSON", cause);
  }
  const map = (json as { weight_map?: unknown } | null)?.weight_map;
  if (typeof map !== "object" || map === null || Array.isArray(map) || Object.keys(map).length === 0)
    throw invalid(name, "the index has no weight_map from tensors to files");
  // A shard lies beside its index, so that no index leads out of its folder.
  for (const [tensor, file] of Object.entries(map))
    if (typeof file !== "string" || !/^[\w.-]+\.safetensors$/.test(file))
      throw invalid(name, `the index places tensor ${tensor} in ${JSON.stringify(file)}, not a safetensors file`);
  return new Map(Object.entries(map as Record<string, string>));
}

function invalid(name: string, what: string, cause?: unknown): ReimagenError {
  return new ReimagenError("checkpoint", `${name}: ${what}`, { cause });
}
