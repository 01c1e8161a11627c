// Reads and writes safetensors files: a checked JSON header, and tensors read one at a time on demand.

import { ReimagenError } from "../errors.ts";
import { bfloat16ToFloat32, float16ToFloat32 } from "./float16.ts";
import type { ByteSource } from "./source.ts";

const bytesPerElement = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

/** Element types as safetensors names them. */
export type SafetensorsDtype = keyof typeof bytesPerElement;

/** Where one tensor lies: `begin` and `end` count bytes from the end of the header. */
export interface TensorInfo {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly begin: number;
  readonly end: number;
}

/** Bytes of a tensor, `offset` counted from its first. */
export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** An opened checkpoint: its header, and its tensors on demand. */
export interface Safetensors {
  readonly name: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /**
   * A tensor's bytes, little-endian, or a range of them; they may share the source's memory. Errors: tensor (no such name), argument (a
   * range outside the tensor), aborted, checkpoint.
   */
  read(name: string, signal?: AbortSignal, range?: ByteRange): Promise<Uint8Array>;
}

/** A tensor to be written: row-major elements, little-endian. */
export interface TensorBytes {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

// The limit of the format's own reader: above it a length is a damaged file, not a header.
const longestHeader = 100_000_000;

/**
 * Opens a safetensors file, reading and checking its header only: every tensor has a known dtype, lies inside the file,
 * is as long as its shape says, and together they cover the file with neither overlap nor hole. Errors: checkpoint.
 */
export async function openSafetensors(source: ByteSource, signal?: AbortSignal): Promise<Safetensors> {
  const headerLength = await readHeaderLength(source, signal);
  const header = parseHeader(source.name, await source.read(8, headerLength, signal));
  const { __metadata__: metadata = {}, ...entries } = header;
  checkMetadata(source.name, metadata);
  const dataLength = source.size - 8 - headerLength;
  const tensors = new Map<string, TensorInfo>();
  for (const [name, entry] of Object.entries(entries)) {
    tensors.set(name, parseTensor(source.name, name, entry, dataLength));
  }
  checkCoverage(source.name, [...tensors.values()], dataLength);
  return {
    name: source.name,
    metadata,
    tensors,
    async read(name, signal, range) {
      const tensor = tensors.get(name);
      if (!tensor) throw new ReimagenError("tensor", `${source.name} has no tensor "${name}"`);
      const size = tensor.end - tensor.begin;
      const { offset, length } = range ?? { offset: 0, length: size };
      if (offset < 0 || length < 0 || offset + length > size)
        throw new ReimagenError(
          "argument",
          `${source.name}: ${length} bytes at ${offset} lie outside the ${size} of tensor "${name}"`,
        );
      return source.read(8 + headerLength + tensor.begin + offset, length, signal);
    },
  };
}

/** The bytes of an F32, F16 or BF16 tensor as float32; always a copy of its own. Errors: dtype, checkpoint. */
export function toFloat32(bytes: Uint8Array, dtype: SafetensorsDtype): Float32Array {
  if (dtype !== "F32" && dtype !== "F16" && dtype !== "BF16") {
    throw new ReimagenError("dtype", `a tensor of F32, F16 or BF16 was expected, and ${dtype} came`);
  }
  if (bytes.length % bytesPerElement[dtype] !== 0) {
    throw new ReimagenError("checkpoint", `${bytes.length} bytes are not a whole number of ${dtype} elements`);
  }
  if (dtype === "F32") return new Float32Array(new Uint8Array(bytes).buffer);
  // Tensors begin wherever the header ended, which may be an odd address.
  const aligned = bytes.byteOffset % 2 === 0 ? bytes : new Uint8Array(bytes);
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, aligned.length / 2);
  return dtype === "F16" ? float16ToFloat32(halves) : bfloat16ToFloat32(halves);
}

/** A safetensors file of these tensors, in this order. Errors: argument (a repeated name, or bytes that do not fit the shape). */
export function writeSafetensors(
  tensors: readonly TensorBytes[],
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { header, begins, end } = layOut(tensors, metadata);
  const file = new Uint8Array(end);
  file.set(header);
  tensors.forEach(({ name, dtype, shape, bytes }, i) => {
    const expected = tensorBytes({ dtype, shape });
    if (bytes.length !== expected)
      throw new ReimagenError(
        "argument",
        `tensor "${name}" of ${dtype} [${shape}] takes ${expected} bytes, and ${bytes.length} came`,
      );
    file.set(bytes, begins[i]!);
  });
  return file;
}

/** Bytes of a tensor in a file. */
export function tensorBytes({ dtype, shape }: Pick<TensorInfo, "dtype" | "shape">): number {
  return shape.reduce((product, side) => product * side, bytesPerElement[dtype]);
}

/** The beginning of a safetensors file, up to its first tensor, and where in the file each tensor begins and the last one ends. Errors: argument (a repeated name). */
export function layOut(
  tensors: readonly Pick<TensorInfo, "name" | "dtype" | "shape">[],
  metadata: Readonly<Record<string, string>> = {},
): { header: Uint8Array<ArrayBuffer>; begins: number[]; end: number } {
  const entries: [string, unknown][] = Object.keys(metadata).length > 0 ? [["__metadata__", metadata]] : [];
  const names = new Set(["__metadata__"]);
  const offsets: number[] = [];
  let end = 0;
  for (const { name, dtype, shape } of tensors) {
    if (names.has(name)) throw new ReimagenError("argument", `tensor "${name}" cannot be written: the name is taken`);
    names.add(name);
    const begin = end;
    end += tensorBytes({ dtype, shape });
    offsets.push(begin);
    entries.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  const json = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20, 8);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return { header, begins: offsets.map((offset) => header.length + offset), end: header.length + end };
}

async function readHeaderLength(source: ByteSource, signal?: AbortSignal): Promise<number> {
  if (source.size < 8) {
    throw invalid(source.name, `the file is truncated: ${source.size} bytes, and 8 begin a safetensors file`);
  }
  const bytes = await source.read(0, 8, signal);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
  if (length < 2n || length > BigInt(longestHeader)) {
    throw invalid(source.name, `not a safetensors file: its header would be ${length} bytes long`);
  }
  if (length > BigInt(source.size - 8)) {
    throw invalid(source.name, `the file is truncated: a header of ${length} bytes in a file of ${source.size}`);
  }
  return Number(length);
}

function parseHeader(file: string, bytes: Uint8Array): { [name: string]: unknown } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw invalid(file, "the header is not UTF-8", cause);
  }
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (cause) {
    throw invalid(file, "the header is not JSON", cause);
  }
  if (!isObject(header)) throw invalid(file, "the header is not a JSON object");
  const repeated = firstRepeatedKey(text);
  if (repeated !== undefined) throw invalid(file, `tensor "${repeated}" is named twice in the header`);
  return header;
}

// JSON.parse silently keeps the last of equal keys; in a weights file that hides a tensor.
function firstRepeatedKey(json: string): string | undefined {
  const seen = new Set<string>();
  let depth = 0;
  for (const [token, colon] of json.matchAll(/"(?:[^"\\]|\\.)*"(\s*:)?|[{}[\]]/g)) {
    if (token === "{" || token === "[") depth++;
    else if (token === "}" || token === "]") depth--;
    else if (depth === 1 && colon !== undefined) {
      const key: string = JSON.parse(token.slice(0, -colon.length));
      if (seen.has(key)) return key;
      seen.add(key);
    }
  }
  return undefined;
}

function checkMetadata(file: string, metadata: unknown): asserts metadata is Record<string, string> {
  if (!isObject(metadata) || !Object.values(metadata).every((value) => typeof value === "string")) {
    throw invalid(file, "__metadata__ is not a map from strings to strings");
  }
}

function parseTensor(file: string, name: string, entry: unknown, dataLength: number): TensorInfo {
  if (!isObject(entry)) throw invalid(file, `tensor "${name}" is not described by a JSON object`);
  const { dtype, shape, data_offsets: offsets } = entry;
  if (typeof dtype !== "string" || !Object.hasOwn(bytesPerElement, dtype)) {
    throw invalid(file, `tensor "${name}" has the unknown dtype ${JSON.stringify(dtype)}`);
  }
  if (!isCountList(shape)) {
    throw invalid(file, `tensor "${name}" has the shape ${JSON.stringify(shape)}, not a list of whole numbers`);
  }
  if (!isCountList(offsets) || offsets.length !== 2) {
    throw invalid(file, `tensor "${name}" has the offsets ${JSON.stringify(offsets)}, not two whole numbers`);
  }
  const [begin, end] = offsets;
  if (begin > end) throw invalid(file, `tensor "${name}" begins at ${begin}, after its end at ${end}`);
  if (end > dataLength) {
    throw invalid(file, `tensor "${name}" ends at byte ${end} of ${dataLength}: the file is truncated or damaged`);
  }
  const known = dtype as SafetensorsDtype;
  const expected = shape.reduce((product, side) => product * side, bytesPerElement[known]);
  if (!Number.isSafeInteger(expected)) throw invalid(file, `tensor "${name}" is impossibly large: [${shape}]`);
  if (end - begin !== expected) {
    throw invalid(
      file,
      `tensor "${name}" of ${dtype} [${shape}] takes ${expected} bytes, and ${end - begin} are there`,
    );
  }
  return { name, dtype: known, shape, begin, end };
}

function checkCoverage(file: string, tensors: TensorInfo[], dataLength: number): void {
  tensors.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let covered = 0;
  let before = "the header";
  for (const { name, begin, end } of tensors) {
    if (begin < covered) throw invalid(file, `tensor "${name}" begins at ${begin}, inside ${before} (to ${covered})`);
    if (begin > covered) throw invalid(file, `a hole of ${begin - covered} bytes lies before tensor "${name}"`);
    covered = end;
    before = `tensor "${name}"`;
  }
  if (covered < dataLength) throw invalid(file, `${dataLength - covered} bytes that no tensor owns follow ${before}`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function invalid(file: string, what: string, cause?: unknown): ReimagenError {
  return new ReimagenError("checkpoint", `${file}: ${what}`, { cause });
}
