// Runs a text encoder's graph on ids, for tests that hold it against a reference.
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor, type TensorData } from "../../src/graph/executor.ts";
import { type Graph, weightsOf } from "../../src/graph/graph.ts";
import type { Safetensors } from "../../src/io/safetensors.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { testGpu } from "../gpu.ts";

/** The graph's outputs by name, from its inputs by name. */
export async function runEncoder(
  graph: Graph,
  checkpoint: Safetensors,
  inputs: Readonly<Record<string, TensorData>>,
): Promise<Map<string, Float32Array>> {
  const gpu = await testGpu();
  const weights = await loadWeights(gpu, checkpoint, weightsOf(graph));
  const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), weights);
  try {
    for (const [name, data] of Object.entries(inputs)) executor.write(name, data);
    executor.run("request");
    const outputs = new Map<string, Float32Array>();
    for (const name of graph.outputs.keys()) outputs.set(name, (await executor.read(name)) as Float32Array);
    return outputs;
  } finally {
    executor.dispose();
    for (const buffer of weights.values()) gpu.release(buffer);
  }
}

/** The attention table of texts of these lengths: each sees its own tokens. */
export function tableOf(lengths: readonly number[]): Uint32Array<ArrayBuffer> {
  return Uint32Array.from(lengths.flatMap((length, row) => [row, length]));
}
