// Writes one safetensors file anew with some of its tensors in 8 bits, a piece at a time.
import { open } from "node:fs/promises";
import { ReimagenError } from "../errors.ts";
import { Q8_BLOCK } from "../gpu/kernel.ts";
import { quantization, scaleName } from "../io/quantized.ts";
import { layOut, type Safetensors, type TensorInfo, toFloat32 } from "../io/safetensors.ts";
import { quantizeRows } from "../models/quantize.ts";

/** A tensor that was brought to 8 bits. */
export interface Quantized {
  readonly name: string;
  readonly shape: readonly number[];
  /** Relative L2 distance of what its codes stand for from what it was. */
  readonly error: number;
}

/** How the writing is watched. */
export interface Watch {
  /** Called with the bytes of each piece that has been read. */
  readonly progress: (bytes: number) => void;
  readonly signal: AbortSignal | undefined;
}

type Entry = Pick<TensorInfo, "name" | "dtype" | "shape">;

/** Bytes that are read together, whole rows of a tensor that is quantised. */
const pieceBytes = 2 ** 24;

/** The tensors of the file that is written: those of the one that is read, in their order, and behind each of `chosen` its scales. */
export function quantizedEntries({ tensors }: Safetensors, chosen: ReadonlySet<string>): Entry[] {
  return [...tensors.values()].flatMap((info): Entry[] => {
    const { name, shape } = info;
    if (!chosen.has(name)) return [info];
    const scale = {
      name: scaleName(name),
      dtype: "F16",
      shape: [shape[0]!, Math.ceil(rowOf(shape) / Q8_BLOCK)],
    } as const;
    return [{ name, dtype: "I8", shape }, scale];
  });
}

/** Writes a file that is not there yet; what is there when it throws is of no use. Throws `not-finite` naming the tensor, `aborted`, and the system's own errors. */
export async function writeQuantized(
  path: string,
  checkpoint: Safetensors,
  chosen: ReadonlySet<string>,
  { progress, signal }: Watch,
): Promise<Quantized[]> {
  const entries = quantizedEntries(checkpoint, chosen);
  const metadata = { ...checkpoint.metadata, [quantization.key]: quantization.version };
  const { header, begins } = layOut(entries, metadata);
  const places = new Map(entries.map(({ name }, i) => [name, begins[i]!]));
  const file = await open(path, "wx");
  const put = (bytes: Uint8Array, at: number) => file.write(bytes, 0, bytes.length, at);
  const done: Quantized[] = [];
  try {
    await put(header, 0);
    for (const info of checkpoint.tensors.values()) {
      const { name, shape } = info;
      const to = places.get(name)!;
      if (!chosen.has(name)) {
        for await (const { bytes, offset } of piecesOf(checkpoint, info, 1, progress, signal))
          await put(bytes, to + offset);
        continue;
      }
      const [row, blocks] = [rowOf(shape), Math.ceil(rowOf(shape) / Q8_BLOCK)];
      const [unit] = [(info.end - info.begin) / shape[0]!];
      let [changed, whole] = [0, 0];
      for await (const { bytes, offset } of piecesOf(checkpoint, info, unit, progress, signal)) {
        const first = offset / unit;
        const values = toFloat32(bytes, info.dtype);
        checkFinite(checkpoint, info, values, first * row);
        const rows = quantizeRows(values, shape[1]!, row / shape[1]!);
        await put(new Uint8Array(rows.codes.buffer), to + first * row);
        const { buffer, byteOffset, byteLength } = rows.scales;
        await put(new Uint8Array(buffer, byteOffset, byteLength), places.get(scaleName(name))! + first * blocks * 2);
        changed += rows.changed;
        whole += rows.whole;
      }
      done.push({ name, shape, error: whole ? Math.sqrt(changed / whole) : 0 });
    }
    // Without this a crash of the machine could leave the folder's new name on empty files.
    await file.sync();
    return done;
  } finally {
    await file.close();
  }
}

/** Elements of a row: of all that makes one output. */
const rowOf = (shape: readonly number[]) => shape.slice(1).reduce((product, extent) => product * extent, 1);

/** A tensor's bytes in pieces of whole units, but for a last one. */
async function* piecesOf(
  checkpoint: Safetensors,
  { name, begin, end }: TensorInfo,
  unit: number,
  progress: Watch["progress"],
  signal?: AbortSignal,
): AsyncGenerator<{ bytes: Uint8Array; offset: number }> {
  const most = Math.max(1, Math.floor(pieceBytes / unit)) * unit;
  for (let offset = 0; offset < end - begin; offset += most) {
    const length = Math.min(most, end - begin - offset);
    yield { bytes: await checkpoint.read(name, signal, { offset, length }), offset };
    progress(length);
  }
}

function checkFinite(checkpoint: Safetensors, { name }: TensorInfo, values: Float32Array, first: number): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at < 0) return;
  throw new ReimagenError(
    "not-finite",
    `${checkpoint.name}: tensor ${name} has ${values[at]} at element ${first + at}`,
  );
}
