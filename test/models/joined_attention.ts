// What neighbours do to a U-Net, in f64 and by another way than the engine's: the plain model, whose attentions to themselves are given more keys.
import type { TensorData } from "../../src/graph/executor.ts";
import type { GraphBuilder, Node } from "../../src/graph/graph.ts";
import { unet, unetTables } from "../../src/models/diffusers/unet.ts";
import type { AttentionAttributes } from "../../src/ops/attention.ts";
import type { ReferenceTensor } from "../../src/ops/op.ts";
import { interpretGraph, type UnetExample } from "./run_diffusers.ts";

type Evaluation = Pick<UnetExample, "config" | "checkpoint" | "size" | "sample" | "time" | "text" | "texts">;

/** Queries, keys and values of one attention to itself, side by side, by where it stands. */
type Seen = Map<string, ReferenceTensor>;

/** The prediction for each sample, which sees the text of its own row and all neighbours. */
export async function joinedUnet({ neighbors, ...example }: UnetExample): Promise<Float64Array> {
  const others: Seen = new Map();
  if (neighbors)
    await evaluate({ ...example, ...neighbors }, (node, qkv) => {
      others.set(node.label, qkv);
      return undefined;
    });
  return evaluate(example, (node, qkv, operands) => {
    const level = Math.log2(example.size[0] / qkv.shape[1]!);
    const seen = neighbors?.levels.includes(level) && others.get(node.label);
    return seen ? joined(node.attributes as AttentionAttributes, qkv, seen, operands) : undefined;
  });
}

/** The plain U-Net; `instead`: what an attention to itself gives. */
function evaluate(
  { config, checkpoint, size, sample, time, text, texts }: Evaluation,
  instead: (
    node: Node,
    qkv: ReferenceTensor,
    operands: readonly (ReferenceTensor | null)[],
  ) => Float64Array | undefined,
): Promise<Float64Array> {
  const batch = texts[0];
  const build = (g: GraphBuilder) =>
    unet(g, config, {
      sample: g.input("sample", [batch, ...size, config.inputs], "step"),
      time: g.input("time", [time.length], "step"),
      text: g.input("text", [...texts, config.text.inputs], "request"),
    });
  const shown = Array.from({ length: batch }, (_, row) => ({ row, length: texts[1] }));
  const inputs = new Map<string, TensorData>(unetTables(config, size, shown));
  for (const [name, data] of Object.entries({ sample, time, text })) inputs.set(name, data);
  return interpretGraph(checkpoint, build, inputs, (node, operands) => {
    const own = node.op.name === "attention" && node.inputs[0] === node.inputs[3];
    return own ? instead(node, operands[0]!, operands) : undefined;
  });
}

/** softmax(q [K; K text; K others]^T / sqrt(d)) [V; V text; V others], written out. */
function joined(
  { heads, headDim, segments }: AttentionAttributes,
  qkv: ReferenceTensor,
  others: ReferenceTensor,
  operands: readonly (ReferenceTensor | null)[],
): Float64Array {
  const channels = heads * headDim;
  const [batch, height, width] = qkv.shape as [number, number, number, number];
  const text = operands[4];
  const result = new Float64Array(batch * height * width * channels);
  for (let sample = 0; sample < batch; sample++) {
    const tokens = height * width;
    const rows = [
      ...rowsOf(qkv.data, 3 * channels, sample * tokens, tokens, channels),
      ...(text ? rowsOf(text.data, 2 * channels, sample * text.shape[1]!, text.shape[1]!, 0) : []),
      ...rowsOf(others.data, 3 * channels, 0, others.data.length / 3 / channels, channels),
    ];
    if (segments.length !== (text ? 2 : 1)) throw new Error("an attention of another form");
    for (let token = 0; token < tokens; token++)
      for (let head = 0; head < heads; head++) {
        const query = (sample * tokens + token) * 3 * channels + head * headDim;
        const weights = rows.map(({ data, key }) => {
          let score = 0;
          for (let d = 0; d < headDim; d++) score += qkv.data[query + d]! * data[key + head * headDim + d]!;
          return Math.exp(score / Math.sqrt(headDim));
        });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        const at = (sample * tokens + token) * channels + head * headDim;
        rows.forEach(({ data, key }, i) => {
          for (let d = 0; d < headDim; d++)
            result[at + d]! += (weights[i]! / total) * data[key + channels + head * headDim + d]!;
        });
      }
  }
  return result;
}

/** Where each token's keys begin; its values begin `channels` on. */
function rowsOf(data: Float64Array, stride: number, first: number, count: number, offset: number) {
  return Array.from({ length: count }, (_, i) => ({ data, key: (first + i) * stride + offset }));
}
