// Pass: replaces convolutions by Winograd's where that takes less time: on SwiftShader. It computes by four lanes, whose registers hold little, so
// that loads are what costs. Adapters of eight (llvmpipe) gain 12% a step, and take half a second more to compile and 160 MB for it.
import type { DeviceTraits } from "../gpu/traits.ts";
import { type Conv2dAttributes, conv2d } from "../ops/conv2d.ts";
import { lazyKernels } from "../ops/lazy_kernels.ts";
import type { Op } from "../ops/op.ts";
import type { Graph, Node, Value } from "./graph.ts";

/** Of a subgroup of the adapters that gain. */
const LANES = 4;

/** The graph with 3 x 3 convolutions by a checkpoint's weights in four nodes each; that of the weights depends on nothing else, so it runs at load. */
export function winograd(graph: Graph, traits: Pick<DeviceTraits, "software" | "subgroupSize">): Graph {
  const { software } = lazyKernels;
  if (!software || !traits.software || traits.subgroupSize !== LANES) return graph;
  const found = graph.nodes.filter(
    ({ op, inputs }) => op === (conv2d as Op<unknown>) && inputs[2]?.source.kind === "weight",
  );
  const ops = software.winogradOps(
    found.map(({ inputs, output: { type: output }, attributes: given }) => {
      const types = inputs.map((value) => value?.type ?? null);
      const attributes = given as Conv2dAttributes;
      return { types, output, attributes, flops: conv2d.flops!(types, output, attributes), weights: inputs[2] };
    }),
  );
  let last = Math.max(0, ...graph.nodes.flatMap(({ inputs, output }) => [...inputs, output].map((v) => v?.id ?? 0)));
  const apply = (of: Node, [op, attributes]: readonly [Op<never>, object], inputs: (Value | null)[]): Node => {
    const types = inputs.map((value) => value?.type ?? null);
    const output: Value = { id: ++last, type: op.infer(types, attributes as never), source: { kind: "node" } };
    return { ...of, op: op as Op<unknown>, attributes, inputs, output };
  };
  const transformed = new Map<Value, Node>();
  const nodes = graph.nodes.flatMap((node) => {
    const becomes = ops[found.indexOf(node)];
    if (!becomes) return [node];
    const [x, , w, bias, residual] = node.inputs as [Value, null, Value, Value | null, Value | null];
    const { only: _, ...everywhere } = node;
    const weights = transformed.get(w) ?? apply(everywhere, becomes.weights, [w]);
    const input = apply(node, becomes.input, [x]);
    const product = apply(node, becomes.product, [input.output, weights.output]);
    const result = apply(node, becomes.output, [product.output, bias ?? null, residual ?? null]);
    const made = [input, product, { ...result, output: node.output }];
    if (transformed.has(w)) return made;
    transformed.set(w, weights);
    return [weights, ...made];
  });
  return { ...graph, nodes };
}
