// Checkpoints of random numbers, for tests of models whose real weights are elsewhere.

import type { Graph } from "../../src/graph/graph.ts";
import { openSafetensors, type Safetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { tensorShapes } from "../../src/models/tensors.ts";
import type { Random } from "../ops/harness.ts";

/** A tensor in f64, as a plain reference reads it. */
export interface Tensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** A value for each element of each tensor that the graph reads: `spread` gives the centre and the standard deviation by name and shape. */
export function randomTensors(
  graph: Graph,
  random: Random,
  spread: (name: string, shape: readonly number[]) => readonly [number, number],
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const [name, shape] of tensorShapes(graph)) {
    const [centre, deviation] = spread(name, shape);
    const size = shape.reduce((product, extent) => product * extent, 1);
    const data = Float64Array.from({ length: size }, () => Math.fround(centre + deviation * random.normal()));
    tensors.set(name, { shape, data });
  }
  return tensors;
}

/** The tensors as a safetensors file of f32. */
export function asCheckpoint(tensors: ReadonlyMap<string, Tensor>): Promise<Safetensors> {
  const file = writeSafetensors(
    [...tensors].map(([name, { shape, data }]) => ({
      name,
      dtype: "F32" as const,
      shape,
      bytes: new Uint8Array(Float32Array.from(data).buffer),
    })),
  );
  return openSafetensors(bytesSource("random.safetensors", file));
}
