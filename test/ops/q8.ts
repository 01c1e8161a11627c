// 8-bit weights by their definition: codes, and a scale for each column and 32 rows.
import { float16ToFloat32, float32ToFloat16 } from "../../src/io/float16.ts";

/** A matrix [rows, columns] in 8 bits: a value is its code / 127 times the scale of its column and block of 32 rows. */
export interface Quantized {
  readonly columns: number;
  readonly codes: Int8Array;
  /** [blocks, columns], numbers that half precision holds. */
  readonly scales: Float32Array;
}

/** The nearest codes: the scale of a block is its greatest magnitude. */
export function quantize(values: ArrayLike<number>, columns: number): Quantized {
  const rows = values.length / columns;
  const most = new Float32Array(Math.ceil(rows / 32) * columns);
  const place = (i: number) => Math.floor(i / columns / 32) * columns + (i % columns);
  for (let i = 0; i < values.length; i++) most[place(i)] = Math.max(most[place(i)]!, Math.abs(values[i]!));
  const scales = float16ToFloat32(float32ToFloat16(most));
  const codes = Int8Array.from({ length: values.length }, (_, i) => {
    const scale = scales[place(i)]!;
    return scale === 0 ? 0 : Math.max(-127, Math.min(127, Math.round((values[i]! / scale) * 127)));
  });
  return { columns, codes, scales };
}

/** The values that the codes stand for. */
export function q8Values({ columns, codes, scales }: Quantized): Float64Array {
  return Float64Array.from(
    codes,
    (code, i) => (code / 127) * scales[Math.floor(i / columns / 32) * columns + (i % columns)]!,
  );
}

/** As it lies in memory: the codes, then the scales in half precision. */
export function q8Bytes({ codes, scales }: Quantized): Uint8Array<ArrayBuffer> {
  const halves = float32ToFloat16(scales);
  const bytes = new Uint8Array(codes.length + halves.byteLength);
  bytes.set(new Uint8Array(codes.buffer));
  bytes.set(new Uint8Array(halves.buffer), codes.length);
  return bytes;
}
