// Small graphs for the tests of passes, an adapter that is not there, and what a graph computes by its ops' references.
import type { DeviceTraits } from "../../src/gpu/traits.ts";
import { type Graph, GraphBuilder, type Node, type Value } from "../../src/graph/graph.ts";
import { add, concat, conv2d, groupNorm, upsample2x } from "../../src/graph/layers.ts";
import { type ReferenceTensor, sizeOf } from "../../src/ops/op.ts";
import { Random } from "../ops/harness.ts";

const limits = {
  maxBufferSize: 2 ** 28,
  maxStorageBufferBindingSize: 2 ** 27,
  maxStorageBuffersPerShaderStage: 8,
  minStorageBufferOffsetAlignment: 256,
};

/** WebGPU's default limits, but for those given. */
export function someLimits(changed: Partial<typeof limits> = {}): GPUSupportedLimits {
  return { ...limits, ...changed } as unknown as GPUSupportedLimits;
}

/** An adapter with no features. */
export function someTraits(changed: Partial<DeviceTraits> = {}): DeviceTraits {
  return {
    software: true,
    subgroupSize: 0,
    shaderF16: false,
    subgroupMatrix: false,
    timestamps: false,
    limits: someLimits(),
    ...changed,
  };
}

/** A constant of random normals. */
export function randomConstant(g: GraphBuilder, random: Random, shape: readonly number[]): Value {
  return g.constant(
    Float32Array.from({ length: sizeOf({ shape, dtype: "f32" }) }, () => random.normal()),
    shape,
  );
}

/** Everything that fuses: x [1, 4, 4, 8] enlarged, convolved, joined with what it came from, normalised, and added to a residual. */
export function fusibleGraph(): Graph {
  const random = new Random(3);
  const g = new GraphBuilder();
  const weight = (...shape: number[]) => randomConstant(g, random, shape);
  const x = g.input("x", [1, 4, 4, 8], "step");
  const large = upsample2x(g, x);
  const grown = conv2d(g, large, { weight: weight(3, 3, 8, 8), bias: weight(8) }, { padding: 1 });
  const joined = concat(g, grown, large);
  const normed = groupNorm(g, joined, { gamma: weight(16), beta: weight(16), groups: 4 }, "silu");
  const skip = conv2d(g, joined, { weight: weight(1, 1, 16, 12) });
  g.output("y", add(g, conv2d(g, normed, { weight: weight(3, 3, 16, 12) }, { padding: 1 }), skip));
  return g.finish();
}

/** The graph's outputs in f64, node by node, from its inputs by name and its weights as they lie in memory. `instead`: what a node gives, where not what its op says. */
export function interpret(
  graph: Graph,
  inputs: Readonly<Record<string, Float64Array>>,
  weights: ReadonlyMap<Value, Float64Array> = new Map(),
  instead: (node: Node, operands: readonly (ReferenceTensor | null)[]) => Float64Array | undefined = () => undefined,
): Map<string, Float64Array> {
  const known = new Map<Value, ReferenceTensor>();
  const tensorOf = (value: Value): ReferenceTensor => {
    const { source, type } = value;
    if (source.kind === "input") return { shape: type.shape, data: inputs[source.name]! };
    if (source.kind === "constant") return { shape: type.shape, data: Float64Array.from(source.data) };
    if (source.kind === "weight") return { shape: type.shape, data: weights.get(value)! };
    return known.get(value)!;
  };
  for (const node of graph.nodes) {
    const { op, output, attributes } = node;
    const operands = node.inputs.map((value) => value && tensorOf(value));
    const data = instead(node, operands) ?? op.reference(operands, output.type, attributes);
    known.set(output, { shape: output.type.shape, data });
  }
  return new Map([...graph.outputs].map(([name, value]) => [name, tensorOf(value).data]));
}

/** Names of the graph's ops, in order. */
export function opsOf(graph: Graph): string[] {
  return graph.nodes.map(({ op }) => op.name);
}
