// Our engine's side of the peers' tasks.
import type { Gpu } from "../../src/gpu/gpu.ts";
import { choose } from "../../src/graph/choose.ts";
import { GraphBuilder, type Node } from "../../src/graph/graph.ts";
import { attention, conv2d, linear } from "../../src/graph/layers.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { prepare, releaseAll, type Stored, storedIntegers, upload } from "../lab/dispatch.ts";
import { dataOf, type Engine, type Task } from "./tasks.ts";

/** Our kernels, as the engine chooses them. */
export function ours(gpu: Gpu, name: string): Engine {
  return {
    name,
    async open(task) {
      await loadKernelsFor(gpu.traits);
      const node = nodeOf(task);
      const { x, resident } = dataOf(task);
      const types = node.inputs.map((value) => value?.type ?? null);
      const buffers = upload(gpu, operandsOf(task, node, resident));
      const xBuffer = buffers[0]!;
      const prepared = await prepare(gpu, choose(node, gpu.traits).launch, buffers, types, node.output.type);
      return {
        async run() {
          gpu.device.queue.writeBuffer(xBuffer, 0, x);
          return Float32Array.from(await prepared.read());
        },
        common: (y) => y,
        dispose() {
          prepared.dispose();
          releaseAll(gpu, buffers);
        },
      };
    },
  };
}

function nodeOf(task: Task): Node {
  const g = new GraphBuilder();
  const tensor = (name: string, ...shape: number[]) => g.input(name, shape, "step");
  if (task.kind === "conv") {
    const { batch, side, inputs, outputs, kernel, stride, padding } = task;
    const weights = { weight: tensor("w", kernel, kernel, inputs, outputs), bias: tensor("b", outputs) };
    conv2d(g, tensor("x", batch, side, side, inputs), weights, { stride, padding });
  } else if (task.kind === "matmul")
    linear(g, tensor("x", task.rows, task.inputs), {
      weight: tensor("w", task.inputs, task.outputs),
      bias: tensor("b", task.outputs),
    });
  else {
    const { heads, tokens, keys, width } = task;
    // One head a sample: the layout that the peers' products have.
    attention(
      g,
      {
        q: tensor("x", heads, tokens, width),
        table: g.input("table", [heads, 1, 2], "step", "u32"),
        segments: [tensor("kv", heads, keys, 2 * width)],
      },
      { heads: 1, headDim: width, scale: width ** -0.5, queries: 0, segments: [{ keys: 0, values: width }] },
    );
  }
  return g.finish().nodes[0]!;
}

function operandsOf(task: Task, node: Node, resident: readonly Float32Array<ArrayBuffer>[]): (Stored | null)[] {
  const stored = (i: number, values: Float32Array<ArrayBuffer>): Stored => ({
    type: node.inputs[i]!.type,
    bytes: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  });
  const { x } = dataOf(task);
  const [first, second] = resident as [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
  if (task.kind === "conv") return [stored(0, x), null, stored(2, first), stored(3, second), null];
  if (task.kind === "matmul") return [stored(0, x), stored(1, first), stored(2, second), null];
  const table = Uint32Array.from({ length: task.heads * 2 }, (_, i) => (i % 2 ? task.keys : i / 2));
  const joined = new Float32Array(first.length * 2);
  for (let row = 0; row < task.heads * task.keys; row++) {
    joined.set(first.subarray(row * task.width, (row + 1) * task.width), 2 * row * task.width);
    joined.set(second.subarray(row * task.width, (row + 1) * task.width), (2 * row + 1) * task.width);
  }
  return [stored(0, x), storedIntegers(node.inputs[1]!.type, table), null, stored(3, joined)];
}
