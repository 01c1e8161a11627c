// Our engine's side of the peers' tasks.
import type { Gpu } from "../../src/gpu/gpu.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor, type WeightBuffers, weightKey } from "../../src/graph/executor.ts";
import { GraphBuilder, weightsOf } from "../../src/graph/graph.ts";
import { attention, conv2d, linear } from "../../src/graph/layers.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { dataOf, type Engine, type Task } from "./tasks.ts";

/** A task as a graph of one op, planned as the engine plans a model. */
export function ours(gpu: Gpu, name: string): Engine {
  return {
    name,
    async open(task) {
      await loadKernelsFor(gpu.traits);
      const { x, resident } = dataOf(task);
      const g = new GraphBuilder();
      addTask(g, task);
      const graph = g.finish();
      const weights: WeightBuffers = new Map();
      // In memory they lie as the task has them.
      for (const [i, value] of weightsOf(graph).entries()) {
        const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
        const buffer = gpu.allocate(weightKey(value), resident[i]!.byteLength, usage);
        gpu.device.queue.writeBuffer(buffer, 0, resident[i]!);
        weights.set(weightKey(value), buffer);
      }
      const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), weights);
      if (task.kind === "attention") {
        executor.write(
          "table",
          Uint32Array.from({ length: task.heads * 2 }, (_, i) => (i % 2 ? task.keys : i / 2)),
        );
        executor.write("context", joined(task, resident));
      }
      return {
        async run() {
          executor.write("x", x);
          executor.run("step");
          return (await executor.read("y")) as Float32Array;
        },
        common: (y) => y,
        dispose() {
          executor.dispose();
          for (const buffer of weights.values()) gpu.release(buffer);
        },
      };
    },
  };
}

function addTask(g: GraphBuilder, task: Task): void {
  if (task.kind === "conv") {
    const { batch, side, inputs, outputs, kernel, stride, padding } = task;
    const x = g.input("x", [batch, side, side, inputs], "step");
    const weights = {
      weight: g.weight("w", [outputs, inputs, kernel, kernel], "conv"),
      bias: g.weight("b", [outputs]),
    };
    g.output("y", conv2d(g, x, weights, { stride, padding }));
  } else if (task.kind === "matmul") {
    const { rows, inputs, outputs } = task;
    const weights = { weight: g.weight("w", [outputs, inputs], "linear"), bias: g.weight("b", [outputs]) };
    g.output("y", linear(g, g.input("x", [rows, inputs], "step"), weights));
  } else {
    const { heads, tokens, keys, width } = task;
    // One head a sample: the layout that the peers' products have.
    const operands = {
      q: g.input("x", [heads, tokens, width], "step"),
      table: g.input("table", [heads, 1, 2], "request", "u32"),
      segments: [g.input("context", [heads, keys, 2 * width], "request")],
    };
    const segments = [{ keys: 0, values: width }];
    g.output("y", attention(g, operands, { heads: 1, headDim: width, scale: width ** -0.5, queries: 0, segments }));
  }
}

/** Keys and values side by side. */
function joined(
  { heads, keys, width }: Task & { kind: "attention" },
  [first, second]: readonly [Float32Array, Float32Array],
): Float32Array<ArrayBuffer> {
  const both = new Float32Array(first.length * 2);
  for (let row = 0; row < heads * keys; row++) {
    both.set(first.subarray(row * width, (row + 1) * width), 2 * row * width);
    both.set(second.subarray(row * width, (row + 1) * width), (2 * row + 1) * width);
  }
  return both;
}
