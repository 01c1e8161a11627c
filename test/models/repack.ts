// How weights lie in memory, as the definition that the device's own transposition is held against.
import { storedShape, type WeightLayout } from "../../src/graph/graph.ts";

/** From PyTorch's layout to the kernels': the output channel becomes the last, contiguous axis. */
export function repack(data: Float32Array, shape: readonly number[], layout: WeightLayout): Float32Array {
  if (layout === "plain") return data;
  const [outputs, inputs] = shape as [number, number];
  const taps = layout === "conv" ? shape[2]! * shape[3]! : 1;
  const packed = new Float32Array(storedShape(shape, layout).reduce((product, extent) => product * extent, 1));
  let from = 0;
  for (let o = 0; o < outputs; o++)
    for (let i = 0; i < inputs; i++)
      for (let tap = 0; tap < taps; tap++) packed[(tap * inputs + i) * outputs + o] = data[from++]!;
  return packed;
}
