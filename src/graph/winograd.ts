// Pass: replaces convolutions by Winograd's where that takes less time on software adapters.
import type { DeviceTraits } from "../gpu/gpu.ts";
import { type Conv2dAttributes, conv2d } from "../ops/conv2d.ts";
import { lazyKernels, unfitForSubgroups } from "../ops/lazy_kernels.ts";
import type { Op } from "../ops/op.ts";
import type { Graph, Node, Value } from "./graph.ts";
import { bytesOfType } from "./plan.ts";

/**
 * Bytes of weights that a graph may hold transformed, beside the plain ones, whose four times they are: enough for models that are
 * drawn on processors with patience, not for those that hardly fit. The convolutions that save most for their bytes have them first.
 */
const mostBytes = 2 ** 28;

/** What transforming a tile of a channel costs, in operations that the products do in the time. */
const transformCost = 1000;

/** A convolution and what it would become. */
interface Replacement {
  readonly node: Node;
  readonly weights: Node;
  readonly rest: readonly Node[];
  /** Operations less than the convolution's. */
  readonly saved: number;
}

/** The graph with 3 x 3 convolutions in four nodes each; their weights' node depends on nothing else, so it runs at load. */
export function winograd(graph: Graph, traits: Pick<DeviceTraits, "software" | "subgroupSize">): Graph {
  const { software } = lazyKernels;
  if (!software || !traits.software || unfitForSubgroups(traits)) return graph;
  let next = 1 + Math.max(0, ...graph.nodes.flatMap((node) => [...node.inputs, node.output].map((v) => v?.id ?? 0)));
  const apply = (op: Op<never>, inputs: readonly (Value | null)[], attributes: object, of: Node, output?: Value) => {
    const types = inputs.map((value) => value?.type ?? null);
    const made = output ?? {
      id: next++,
      type: op.infer(types, attributes as never),
      source: { kind: "node" as const },
    };
    return { ...of, op: op as Op<unknown>, inputs, attributes, output: made };
  };
  const transformed = new Map<Value, Node>();
  const { winogradInput, winogradOutput, winogradProduct, winogradWeights, tilesOf } = software;
  const found = graph.nodes.flatMap((node): Replacement[] => {
    if (node.op !== (conv2d as Op<unknown>) || !fits(node)) return [];
    const [x, , w, bias, residual] = node.inputs as [Value, null, Value, Value | null, Value | null];
    const { padding = 0, upsample = 1, activation = "none", scale = 1 } = node.attributes as Conv2dAttributes;
    const [batch, height, width, outputs] = node.output.type.shape as [number, number, number, number];
    const { tiles } = tilesOf(node.output.type.shape);
    const { only: _, ...everywhere } = node;
    const weights = transformed.get(w) ?? apply(winogradWeights as Op<never>, [w], {}, everywhere);
    transformed.set(w, weights);
    const input = apply(winogradInput as Op<never>, [x], { padding, upsample, height, width }, node);
    const product = apply(winogradProduct as Op<never>, [input.output, weights.output], { tiles, outputs }, node);
    const output = apply(
      winogradOutput as Op<never>,
      [product.output, bias, residual],
      { batch, height, width, activation, scale },
      node,
      node.output,
    );
    const [v, u] = [input.output.type.shape, weights.output.type.shape] as [number[], number[]];
    const padded = 2 * v[0]! * v[1]! * v[3]! * u[1]! * u[3]! * v[2]! * 4;
    const transforms = transformCost * tiles * (x.type.shape[3]! + outputs);
    const saved = flopsOf(node) - padded - transforms;
    return saved > 0 ? [{ node, weights, rest: [input, product, output], saved }] : [];
  });
  const chosen = new Map<Node, Replacement>();
  const loaded = new Set<Node>();
  let bytes = 0;
  for (const each of found.toSorted((a, b) => b.saved / bytesOf(b) - a.saved / bytesOf(a))) {
    const more = loaded.has(each.weights) ? 0 : bytesOf(each);
    if (bytes + more > mostBytes) continue;
    bytes += more;
    loaded.add(each.weights);
    chosen.set(each.node, each);
  }
  return { ...graph, nodes: [...loaded, ...graph.nodes.flatMap((node) => chosen.get(node)?.rest ?? [node])] };
}

/** Whether it is a convolution by 3 x 3 weights at every pixel, in single precision, of one input whose channels come in fours. */
function fits({ inputs, output, attributes }: Node): boolean {
  const [x, second, w] = inputs as [Value, Value | null, Value];
  const [kh, kw, channels, outputs] = w.type.shape as [number, number, number, number];
  return (
    w.source.kind === "weight" &&
    !second &&
    ((attributes as Conv2dAttributes).stride ?? 1) === 1 &&
    [kh, kw].every((extent) => extent === 3) &&
    [channels, outputs].every((extent) => extent % 4 === 0) &&
    [...inputs, output].every((value) => !value || value.type.dtype === "f32") &&
    x.type.shape[3] === channels
  );
}

function flopsOf({ op, inputs, output, attributes }: Node): number {
  return op.flops!(
    inputs.map((value) => value?.type ?? null),
    output.type,
    attributes,
  );
}

const bytesOf = ({ weights }: Replacement) => bytesOfType(weights.output.type);
