// Pass: folds residual additions into their producers, and concatenation and 2x upsampling into their consumers' loaders.
import { type AddAttributes, add } from "../ops/add.ts";
import { concat } from "../ops/concat.ts";
import { type Conv2dAttributes, conv2d } from "../ops/conv2d.ts";
import { groupNormAffine } from "../ops/group_norm.ts";
import { linear } from "../ops/linear.ts";
import { normalize } from "../ops/normalize.ts";
import type { Op } from "../ops/op.ts";
import { isTrailing } from "../ops/operands.ts";
import { type ResizeAttributes, resize } from "../ops/resize.ts";
import { type Graph, keptValues, type Node, stages, type Value } from "./graph.ts";
import { hoist } from "./hoist.ts";
import { prune } from "./prune.ts";

/**
 * The graph with fewer, larger nodes; it computes the same. On `software` adapters concatenations stay: a second source in every loader
 * takes llvmpipe longer to compile than it saves.
 */
export function fuse(graph: Graph, software = false): Graph {
  return prune(fuseResiduals(fuseLoaders(graph, software)));
}

const is = (node: Node | undefined, op: unknown): node is Node => node?.op === (op as Op<unknown>);

/** `resize` by 2 and `concat` disappear into convolutions and group norms, which read both sources themselves. */
function fuseLoaders(graph: Graph, software: boolean): Graph {
  const producers = new Map<Value, Node>(graph.nodes.map((node) => [node.output, node]));
  const producerOf = (value: Value | null | undefined) => (value ? producers.get(value) : undefined);
  const nodes = graph.nodes.map((node) => {
    const source = producerOf(node.inputs[0]);
    const takesTwo = is(node, conv2d) || is(node, groupNormAffine) || is(node, normalize);
    if (!software && takesTwo && is(source, concat) && !node.inputs[1] && canReadBoth(node, source))
      return { ...node, inputs: [source.inputs[0]!, source.inputs[1]!, ...node.inputs.slice(2)] };
    if (is(node, conv2d) && is(source, resize) && !node.inputs[1] && doubles(source))
      return {
        ...node,
        inputs: [source.inputs[0]!, ...node.inputs.slice(1)],
        attributes: { ...(node.attributes as Conv2dAttributes), upsample: 2 as const },
      };
    return node;
  });
  return { ...graph, nodes };
}

// Kernels that read packed halves take channels in fours, from each source.
function canReadBoth(node: Node, { inputs: [x, x2] }: Node): boolean {
  const halves = [...node.inputs, node.output].some((value) => ["f16", "q8"].includes(value?.type.dtype ?? ""));
  return !halves || [x, x2].every((value) => value!.type.shape.at(-1)! % 4 === 0);
}

function doubles(node: Node): boolean {
  const { mode, height, width } = node.attributes as ResizeAttributes;
  const [, h, w] = node.inputs[0]!.type.shape;
  return mode === "nearest" && height === 2 * h! && width === 2 * w!;
}

/** `add(conv2d(...), r)` becomes `conv2d(..., r)`, and so for `linear`, when nobody else reads the sum's operand. */
function fuseResiduals(graph: Graph): Graph {
  const uses = new Map<Value, number>();
  for (const node of graph.nodes)
    for (const value of node.inputs) if (value) uses.set(value, (uses.get(value) ?? 0) + 1);
  for (const value of keptValues(graph)) uses.set(value, (uses.get(value) ?? 0) + 1);
  const position = new Map<Value, number>(graph.nodes.map((node, i) => [node.output, i]));
  const schedule = hoist(graph);
  const stageOf = new Map(stages.flatMap((stage) => schedule[stage].map(({ output }) => [output, stage] as const)));
  const nodes: (Node | undefined)[] = [...graph.nodes];
  graph.nodes.forEach((node, at) => {
    if (!is(node, add)) return;
    const { activation = "none", scale = 1 } = node.attributes as AddAttributes;
    if (activation !== "none") return;
    for (const [mine, other] of [
      [0, 1],
      [1, 0],
    ] as const) {
      const [sum, residual] = [node.inputs[mine]!, node.inputs[other]!];
      const from = position.get(sum);
      const producer = from === undefined ? undefined : nodes[from];
      const slot = is(producer, conv2d) ? 4 : is(producer, linear) ? 3 : undefined;
      if (!producer || slot === undefined || producer.inputs[slot] || uses.get(sum) !== 1) continue;
      // A linear layer repeats what is a part of the sum's shape; convolutions take residuals of the whole.
      const [part, whole] = [residual.type.shape, sum.type.shape];
      if (is(producer, linear) && mine === 0 ? !isTrailing(part, whole) : part.join() !== whole.join()) continue;
      // A linear layer has no factor, and a convolution one, which its own residual shares.
      if (scale !== 1 && !is(producer, conv2d)) continue;
      if (is(producer, conv2d) && ((producer.attributes as Conv2dAttributes).scale ?? 1) !== 1) continue;
      // A sum of every step must not draw the request's work into the step.
      if (stageOf.get(sum) !== stageOf.get(node.output)) continue;
      const inputs = [...producer.inputs];
      while (inputs.length <= slot) inputs.push(null);
      inputs[slot] = residual;
      // The producer moves down to where the sum stood: its residual may be computed in between.
      nodes[from!] = undefined;
      nodes[at] = {
        ...producer,
        inputs,
        output: node.output,
        ...(node.only && { only: node.only }),
        attributes: {
          ...(producer.attributes as object),
          ...(scale !== 1 && { scale }),
          dtype: node.output.type.dtype,
        },
      };
      position.set(node.output, at);
      return;
    }
  });
  return { ...graph, nodes: nodes.filter((node) => node !== undefined) };
}
