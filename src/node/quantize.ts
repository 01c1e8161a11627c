// Writes a folder anew with its matrices and convolution kernels in 8 bits, a piece of a tensor at a time.
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join, relative, resolve, sep } from "node:path";
import { type Quantizable, quantizables } from "../diffusion/pipeline/quantizable.ts";
import { ReimagenError } from "../errors.ts";
import { findWeights } from "../io/checkpoint.ts";
import { type Folder, subfolder } from "../io/folder.ts";
import { openSafetensors, type Safetensors } from "../io/safetensors.ts";
import { checkNotAborted } from "../io/source.ts";
import { openFolder } from "./folder.ts";
import { type Quantized, quantizedEntries, writeQuantized } from "./quantized-file.ts";

/** What became of a folder. */
export interface QuantizedFolder {
  /** The tensors that are in 8 bits now, with their component's folder in front. */
  readonly tensors: readonly Quantized[];
  /** Bytes of the files that were read, and of what was made of them. */
  readonly before: number;
  readonly after: number;
}

/** Options of `quantizeFolder`. */
export interface QuantizeOptions {
  /** Called with bytes of weights read so far and in all. */
  readonly onProgress?: (read: number, total: number) => void;
  readonly signal?: AbortSignal;
}

/**
 * Writes `out` with the files of a folder: weights of its `quantizables` in 8 bits, under the same names, sharded as they were (renditions of them
 * that are not read, such as pickles, are left out), all else as it is. `out` appears when it is complete, or not at all. Throws `output` (also where
 * it is there already), `not-finite`, `aborted`, and what `quantizables` throws.
 */
export async function quantizeFolder(
  path: string,
  out: string,
  options: QuantizeOptions = {},
): Promise<QuantizedFolder> {
  const refused = (why: string, cause?: unknown) =>
    new ReimagenError("output", `${out} cannot be written: ${why}`, { cause });
  if (await stat(out).catch(() => undefined)) throw refused("there is such a file or folder already");
  if (resolve(out).startsWith(resolve(path) + sep)) throw refused(`it would lie within ${path}`);
  const folder = await openFolder(path);
  const temporary = join(dirname(out), `${basename(out)}.${randomUUID().slice(0, 8)}.tmp`);
  try {
    const parts = await quantizables(folder, options.signal);
    const components = [];
    for (const part of parts) components.push(await openComponent(folder, part, options.signal));
    const copied = await copyOthers(path, temporary, components, options.signal);
    const tensors = await writeComponents(temporary, components, options);
    const read = components.flatMap(({ path, files }) => [...files.keys()].map((file) => join(path, file)));
    const before = await bytesOf(path, [...copied, ...read]);
    const after = await bytesOf(temporary, await filesOf(temporary));
    checkNotAborted(path, options.signal);
    await rename(temporary, out);
    return { tensors, before, after };
  } catch (error) {
    throw error instanceof ReimagenError ? error : refused((error as Error).message, error);
  } finally {
    await rm(temporary, { recursive: true, force: true });
    await folder.close();
  }
}

/** The weights of a component, opened. */
interface Component extends Quantizable {
  /** One, or its shards. */
  readonly files: ReadonlyMap<string, Safetensors>;
  /** The shards' index. */
  readonly index: string | undefined;
}

async function openComponent(folder: Folder, part: Quantizable, signal?: AbortSignal): Promise<Component> {
  const within = part.path ? subfolder(folder, part.path) : folder;
  const { name, source, index } = await findWeights(within, signal);
  if (!index) return { ...part, files: new Map([[name, await openSafetensors(source, signal)]]), index: undefined };
  const files = new Map<string, Safetensors>();
  for (const shard of new Set(index.values())) {
    const found = (await within.open(shard, signal))!;
    files.set(shard, await openSafetensors(found, signal));
  }
  return { ...part, files, index: name };
}

// In whatever form: those of a component that is written anew are not to be told apart from what it was.
const weights = /\.(safetensors|bin|ckpt|pth?|msgpack|h5|onnx|pb|index(\.\w+)?\.json)$/;

/** Returns what was copied. */
async function copyOthers(
  path: string,
  out: string,
  components: readonly Component[],
  signal?: AbortSignal,
): Promise<string[]> {
  const homes = new Set(components.map(({ path }) => path || "."));
  const others = (await filesOf(path)).filter((file) => !(homes.has(dirname(file)) && weights.test(file)));
  for (const file of others) {
    checkNotAborted(join(path, file), signal);
    await mkdir(dirname(join(out, file)), { recursive: true });
    await copyFile(join(path, file), join(out, file));
  }
  return others;
}

async function writeComponents(
  out: string,
  components: readonly Component[],
  { onProgress, signal }: QuantizeOptions,
): Promise<Quantized[]> {
  const checkpoints = components.flatMap(({ files }) => [...files.values()]);
  const sizes = checkpoints.flatMap(({ tensors }) => [...tensors.values()].map(({ begin, end }) => end - begin));
  const total = sizes.reduce((sum, size) => sum + size, 0);
  let read = 0;
  const progress = (bytes: number) => {
    read += bytes;
    onProgress?.(read, total);
  };
  const done: Quantized[] = [];
  for (const { path, files, index, tensors } of components) {
    await mkdir(join(out, path), { recursive: true });
    const homes: Record<string, string> = {};
    for (const [file, checkpoint] of files) {
      const written = await writeQuantized(join(out, path, file), checkpoint, tensors, { progress, signal });
      done.push(...written.map((each) => ({ ...each, name: path ? `${path}/${each.name}` : each.name })));
      for (const { name } of quantizedEntries(checkpoint, tensors)) homes[name] = file;
    }
    if (index) await writeFile(join(out, path, index), JSON.stringify({ weight_map: homes }, null, 2));
  }
  return done;
}

/** Paths of all files in a folder and below; links lead to what they name, as in a cache of downloads. */
async function filesOf(path: string): Promise<string[]> {
  const found = [];
  for (const entry of await readdir(path, { recursive: true, withFileTypes: true })) {
    const full = join(entry.parentPath, entry.name);
    if ((await stat(full)).isFile()) found.push(relative(path, full));
  }
  return found;
}

async function bytesOf(path: string, files: readonly string[]): Promise<number> {
  let bytes = 0;
  for (const file of files) bytes += (await stat(join(path, file))).size;
  return bytes;
}
