// TensorFlow.js on WebGPU.
import * as tf from "@tensorflow/tfjs-core";
import "@tensorflow/tfjs-backend-webgpu";
import { dataOf, type Engine, type Task } from "../tasks.ts";

/** Opens the backend. Throws where it does not find WebGPU. */
export async function tfjs(): Promise<Engine> {
  if (!(await tf.setBackend("webgpu"))) throw new Error("tfjs has no WebGPU here");
  await tf.ready();
  return {
    name: "tfjs",
    async open(task) {
      const { x, resident } = dataOf(task);
      const [shape, ...shapes] = shapesOf(task);
      const [first, second] = resident.map((values, i) => tf.tensor(values, shapes[i]!)) as [tf.Tensor, tf.Tensor];
      return {
        async run() {
          const y = tf.tidy(() => apply(task, tf.tensor(x, shape!), first, second));
          const values = await y.data();
          y.dispose();
          return values;
        },
        common: (y) => y,
        dispose() {
          first.dispose();
          second.dispose();
        },
      };
    },
  };
}

function apply(task: Task, x: tf.Tensor, first: tf.Tensor, second: tf.Tensor): tf.Tensor {
  if (task.kind === "conv")
    return tf.fused.conv2d({ x, filter: first, strides: task.stride, pad: task.padding, bias: second });
  if (task.kind === "matmul") return tf.fused.matMul({ a: x, b: first, bias: second });
  return tf.matMul(tf.softmax(tf.mul(tf.matMul(x, first, false, true), task.width ** -0.5)), second);
}

/** Of x and of what stays on the device. */
function shapesOf(task: Task): number[][] {
  if (task.kind === "conv") {
    const { batch, side, inputs, outputs, kernel } = task;
    return [[batch, side, side, inputs], [kernel, kernel, inputs, outputs], [outputs]];
  }
  if (task.kind === "matmul") return [[task.rows, task.inputs], [task.inputs, task.outputs], [task.outputs]];
  const { heads, tokens, keys, width } = task;
  return [
    [heads, tokens, width],
    [heads, keys, width],
    [heads, keys, width],
  ];
}
