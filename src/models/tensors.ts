// Which tensors a model asks a checkpoint for, known without a checkpoint and without a device.
import { type Graph, weightsOf } from "../graph/graph.ts";

/** Shapes by name, as a checkpoint has them. */
export type TensorShapes = ReadonlyMap<string, readonly number[]>;

/** Names and shapes of all checkpoint tensors that a graph reads. */
export function tensorShapes(graph: Graph): TensorShapes {
  const shapes = new Map<string, readonly number[]>();
  for (const { source } of weightsOf(graph))
    if (source.kind === "weight") for (const name of source.weight.names) shapes.set(name, source.weight.shape);
  return shapes;
}

/** How many numbers they hold. */
export function parameterCount(shapes: TensorShapes): number {
  const sizes = [...shapes.values()].map((shape) => shape.reduce((product, extent) => product * extent, 1));
  return sizes.reduce((sum, size) => sum + size, 0);
}
