// Weights to 8 bits in blocks on the CPU, as the device does it when it loads them.
import { Q8_BLOCK } from "../gpu/kernel.ts";
import { type Graph, weightsOf } from "../graph/graph.ts";
import { float16ToFloat32, float32ToFloat16 } from "../io/float16.ts";

/** Rows of a matrix [O, I] or kernel [O, I, KH, KW] in 8 bits, as `scaleName` describes them. */
export interface QuantizedRows {
  /** [rows, I KH KW], in the order of the values. */
  readonly codes: Int8Array<ArrayBuffer>;
  /** [rows, blocks], half precision. */
  readonly scales: Uint16Array;
  /** Sums of squares: of what quantising changed, and of the values. */
  readonly changed: number;
  readonly whole: number;
}

/** Quantises whole rows, each of `inputs` x `taps` values; arithmetic is in f32 and in the device's order, so that codes are the device's where it rounds scales as we do, to the nearest. */
export function quantizeRows(values: Float32Array, inputs: number, taps: number): QuantizedRows {
  const stride = inputs * taps;
  const rows = values.length / stride;
  const blocks = Math.ceil(stride / Q8_BLOCK);
  const columns = Uint32Array.from(
    { length: stride },
    (_, place) => (place % inputs) * taps + Math.floor(place / inputs),
  );
  const most = new Float32Array(rows * blocks);
  for (let row = 0, block = 0; row < rows; row++)
    for (let from = 0; from < stride; from += Q8_BLOCK, block++) {
      const to = Math.min(from + Q8_BLOCK, stride);
      let greatest = 0;
      for (let place = from; place < to; place++)
        greatest = Math.max(greatest, Math.abs(values[row * stride + columns[place]!]!));
      most[block] = Math.min(greatest, largestHalf);
    }
  const scales = float32ToFloat16(most);
  const units = float16ToFloat32(scales);
  const codes = new Int8Array(values.length);
  let [changed, whole] = [0, 0];
  for (let row = 0, block = 0; row < rows; row++)
    for (let from = 0; from < stride; from += Q8_BLOCK, block++) {
      const to = Math.min(from + Q8_BLOCK, stride);
      const unit = units[block]!;
      const factor = unit === 0 ? 0 : Math.fround(1 / unit);
      for (let place = from; place < to; place++) {
        const at = row * stride + columns[place]!;
        const value = values[at]!;
        const code = codeOf(Math.fround(value * factor));
        codes[at] = code;
        const change = value - (code / 127) * unit;
        changed += change * change;
        whole += value * value;
      }
    }
  return { codes, scales, changed, whole };
}

const largestHalf = 65504;

/** As `pack4x8snorm` does in practice: where two codes are equally near, the even one. */
function codeOf(share: number): number {
  const exact = Math.fround(127 * Math.min(1, Math.max(-1, share)));
  const below = Math.floor(exact);
  const rest = exact - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 !== 0) ? below + 1 : below;
}

/** The checkpoint tensors that a graph built for `q8` weights keeps in 8 bits: matrices and kernels, not tables, vectors and odd shapes. */
export function quantizedTensors(graph: Graph): Set<string> {
  const names = weightsOf(graph).flatMap(({ type, source }) =>
    type.dtype === "q8" && source.kind === "weight" ? source.weight.names : [],
  );
  return new Set(names);
}
