// Tasks as ONNX models, written by hand: a graph of a few nodes with the weights inside, in Protocol Buffers' wire format (onnx.proto3).
import { dataOf, outputSide, swapped, type Task } from "./tasks.ts";

/** A model with input `x` and output `y`. */
export interface OnnxTask {
  readonly model: Uint8Array;
  /** What to feed, as the model lays it out. */
  readonly x: Float32Array;
  readonly shape: readonly number[];
  /** The model's result as the task lays it out. */
  common(y: Float32Array): Float32Array;
}

/** The task as a model: NCHW for convolutions, as ONNX has it; keys come transposed. */
export function onnxTask(task: Task): OnnxTask {
  const { x, resident } = dataOf(task);
  const [first, second] = resident;
  const same = (y: Float32Array) => y;
  if (task.kind === "conv") {
    const { batch, side, inputs, outputs, kernel, stride, padding } = task;
    const to = outputSide(task);
    // [KH KW, I, O] to [O, I, KH KW].
    const weights = swapped(swapped(first, kernel * kernel * inputs, outputs), kernel * kernel, inputs);
    return {
      x: swapped(x, side * side, inputs),
      shape: [batch, inputs, side, side],
      common: (y) => swapped(y, outputs, to * to),
      model: model(
        [batch, inputs, side, side],
        [node("Conv", ["x", "w", "b"], "y", { strides: [stride, stride], pads: new Array(4).fill(padding) })],
        { w: tensor([outputs, inputs, kernel, kernel], weights), b: tensor([outputs], second) },
        [batch, outputs, to, to],
      ),
    };
  }
  if (task.kind === "matmul") {
    const { rows, inputs, outputs } = task;
    return {
      x,
      shape: [rows, inputs],
      common: same,
      model: model(
        [rows, inputs],
        [node("Gemm", ["x", "w", "b"], "y")],
        { w: tensor([inputs, outputs], first), b: tensor([outputs], second) },
        [rows, outputs],
      ),
    };
  }
  const { heads, tokens, keys, width } = task;
  return {
    x,
    shape: [heads, tokens, width],
    common: same,
    model: model(
      [heads, tokens, width],
      [
        node("MatMul", ["x", "k"], "scores"),
        node("Mul", ["scores", "scale"], "scaled"),
        node("Softmax", ["scaled"], "shares"),
        node("MatMul", ["shares", "v"], "y"),
      ],
      {
        k: tensor([heads, width, keys], swapped(first, keys, width)),
        scale: tensor([], Float32Array.of(width ** -0.5)),
        v: tensor([heads, keys, width], second),
      },
      [heads, tokens, width],
    ),
  };
}

type Bytes = readonly number[] | Uint8Array;

const FLOAT = 1;

/** ModelProto: version 8 of the format, version 13 of the operators. */
function model(
  x: readonly number[],
  nodes: readonly Uint8Array[],
  tensors: Readonly<Record<string, (name: string) => Uint8Array>>,
  y: readonly number[],
): Uint8Array {
  const graph = join([
    ...nodes.map((bytes) => field(1, bytes)),
    field(2, text("task")),
    ...Object.entries(tensors).map(([name, write]) => field(5, write(name))),
    field(11, valueInfo("x", x)),
    field(12, valueInfo("y", y)),
  ]);
  return join([number(1, 8), field(7, graph), field(8, number(2, 13))]);
}

/** NodeProto; attributes are lists of integers. */
function node(
  op: string,
  inputs: readonly string[],
  output: string,
  attributes: Readonly<Record<string, readonly number[]>> = {},
): Uint8Array {
  const INTS = 7;
  return join([
    ...inputs.map((name) => field(1, text(name))),
    field(2, text(output)),
    field(4, text(op)),
    ...Object.entries(attributes).map(([name, values]) =>
      field(5, join([field(1, text(name)), ...values.map((value) => number(8, value)), number(20, INTS)])),
    ),
  ]);
}

/** TensorProto, once it has a name. */
function tensor(shape: readonly number[], values: Float32Array): (name: string) => Uint8Array {
  const raw = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  return (name) => join([...shape.map((n) => number(1, n)), number(2, FLOAT), field(8, text(name)), field(9, raw)]);
}

/** ValueInfoProto of an f32 tensor. */
function valueInfo(name: string, shape: readonly number[]): Uint8Array {
  const dimensions = join(shape.map((n) => field(1, number(1, n))));
  return join([field(1, text(name)), field(2, field(1, join([number(1, FLOAT), field(2, dimensions)])))]);
}

/** A field of bytes: strings and messages. */
function field(id: number, bytes: Bytes): Uint8Array {
  return join([varint((id << 3) | 2), varint(bytes.length), bytes]);
}

/** A field of one integer. */
function number(id: number, value: number): Uint8Array {
  return join([varint(id << 3), varint(value)]);
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

const text = (value: string) => new TextEncoder().encode(value);

function join(parts: readonly Bytes[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}
