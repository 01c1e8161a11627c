// The heavy ops of the shipped model as any engine can run them: convolutions, matrix products, attention.
import type { ModelConfig } from "../../src/models/config.ts";
import type { AttentionAttributes } from "../../src/ops/attention.ts";
import type { Conv2dAttributes } from "../../src/ops/conv2d.ts";
import { modelCases } from "../lab/cases.ts";
import { storedNormals } from "../lab/dispatch.ts";

/** One computation; all tensors f32. */
export type Task =
  | {
      /** x [batch, side, side, inputs] by w [kernel, kernel, inputs, outputs], and a bias; zeros around. */
      readonly kind: "conv";
      readonly name: string;
      readonly batch: number;
      readonly side: number;
      readonly inputs: number;
      readonly outputs: number;
      readonly kernel: number;
      readonly stride: number;
      readonly padding: number;
    }
  | {
      /** x [rows, inputs] by w [inputs, outputs], and a bias. */
      readonly kind: "matmul";
      readonly name: string;
      readonly rows: number;
      readonly inputs: number;
      readonly outputs: number;
    }
  | {
      /** softmax(q k' / sqrt(width)) v of [heads, tokens, width] by keys and values [heads, keys, width]; samples count as heads. */
      readonly kind: "attention";
      readonly name: string;
      readonly heads: number;
      readonly tokens: number;
      readonly keys: number;
      readonly width: number;
    };

/** What stays on the device, and what each run brings. */
export interface TaskData {
  /** The input that comes from the CPU in each run: x, or q. */
  readonly x: Float32Array<ArrayBuffer>;
  /** Weights and bias, or keys and values. */
  readonly resident: readonly [Float32Array<ArrayBuffer>, Float32Array<ArrayBuffer>];
}

/** The shipped model's tasks, each shape once; what our engine fuses around them is left off. */
export function shippedTasks(config: ModelConfig, software: boolean): Task[] {
  const tasks = modelCases(config, "f32", software).flatMap(({ node, uses }): Task[] => {
    const [x, second, w] = node.inputs;
    if (!uses || !x) return [];
    if (node.op.name === "linear") {
      const [inputs, outputs] = second!.type.shape as [number, number];
      const rows = x.type.shape.reduce((product, n) => product * n, 1) / inputs;
      return [{ kind: "matmul", name: `matmul ${rows}x${inputs} by ${inputs}x${outputs}`, rows, inputs, outputs }];
    }
    if (node.op.name === "conv2d" && !second) {
      const [batch, side] = x.type.shape as [number, number];
      const [kernel, , inputs, outputs] = w!.type.shape as [number, number, number, number];
      const { stride = 1, padding = 0, upsample = 1 } = node.attributes as Conv2dAttributes;
      const name = `conv ${kernel}x${kernel} ${batch}x${side}x${side}x${inputs} to ${outputs}, stride ${stride}`;
      return upsample > 1 ? [] : [{ kind: "conv", name, batch, side, inputs, outputs, kernel, stride, padding }];
    }
    if (node.op.name === "attention") {
      const { heads, headDim } = node.attributes as AttentionAttributes;
      const tokensOf = (shape: readonly number[]) => shape.slice(1, -1).reduce((product, n) => product * n, 1);
      const keys = node.inputs.slice(3).reduce((sum, value) => sum + (value ? tokensOf(value.type.shape) : 0), 0);
      const [tokens, all] = [tokensOf(x.type.shape), heads * x.type.shape[0]!];
      const name = `attention ${all} heads of ${headDim}, ${tokens} by ${keys} tokens`;
      return [{ kind: "attention", name, heads: all, tokens, keys, width: headDim }];
    }
    return [];
  });
  return [...new Map(tasks.map((task) => [task.name, task])).values()];
}

/** The same values wherever a task runs. */
export function dataOf(task: Task): TaskData {
  const values = (seed: number, ...shape: number[]) =>
    new Float32Array(storedNormals({ shape, dtype: "f32" }, seed).bytes.buffer);
  if (task.kind === "conv") {
    const { batch, side, inputs, outputs, kernel } = task;
    return {
      x: values(0, batch, side, side, inputs),
      resident: [values(1, kernel, kernel, inputs, outputs), values(2, outputs)],
    };
  }
  if (task.kind === "matmul")
    return {
      x: values(0, task.rows, task.inputs),
      resident: [values(1, task.inputs, task.outputs), values(2, task.outputs)],
    };
  const { heads, tokens, keys, width } = task;
  return {
    x: values(0, heads, tokens, width),
    resident: [values(1, heads, keys, width), values(2, heads, keys, width)],
  };
}

/** Pixels a side of a convolution's result. */
export function outputSide({ side, kernel, stride, padding }: Task & { kind: "conv" }): number {
  return Math.floor((side + 2 * padding - kernel) / stride) + 1;
}

/** Floating-point operations of a task's products. */
export function flopsOfTask(task: Task): number {
  if (task.kind === "conv")
    return 2 * task.batch * outputSide(task) ** 2 * task.outputs * task.kernel ** 2 * task.inputs;
  if (task.kind === "matmul") return 2 * task.rows * task.inputs * task.outputs;
  return 4 * task.heads * task.tokens * task.keys * task.width;
}

/** A task in an engine, weights on its device. */
export interface Opened {
  /** From x on the CPU to y on the CPU, in the engine's own layout. */
  run(): Promise<Float32Array>;
  /** The engine's result as the task lays it out. */
  common(y: Float32Array): Float32Array;
  dispose(): void;
}

/** An engine that opens tasks. */
export interface Engine {
  readonly name: string;
  open(task: Task): Promise<Opened>;
}

/** Swaps two axes of [outer, a, b, inner]. */
export function swapped(data: Float32Array, a: number, b: number, inner = 1): Float32Array<ArrayBuffer> {
  const result = new Float32Array(data.length);
  for (let from = 0, outer = 0; from < data.length; outer++)
    for (let i = 0; i < a; i++)
      for (let j = 0; j < b; j++)
        for (let k = 0; k < inner; k++) result[((outer * b + j) * a + i) * inner + k] = data[from++]!;
  return result;
}
