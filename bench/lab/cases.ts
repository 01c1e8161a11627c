// What `ops` runs: an op at a shape, from the plan of the shipped model and from U-Nets of known sizes.

import { denoisingLoop } from "../../src/diffusion/loop.ts";
import { rememberedAnswers } from "../../src/diffusion/pndm.ts";
import { type ReimagenShape, reimagenModel, textRows } from "../../src/diffusion/reimagen.ts";
import { fuse } from "../../src/graph/fuse.ts";
import { type Graph, GraphBuilder, type Node, type Value } from "../../src/graph/graph.ts";
import { hoist } from "../../src/graph/hoist.ts";
import { prune } from "../../src/graph/prune.ts";
import { winograd } from "../../src/graph/winograd.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { cast } from "../../src/ops/cast.ts";
import { sizeOf, type TensorType } from "../../src/ops/op.ts";
import { type Stored, storedIntegers, storedNormals } from "./dispatch.ts";

/** Where a case's shape comes from. */
export type CaseSet = "shipped" | "imagen" | "sd";

/** One op at one shape. */
export interface OpCase {
  readonly set: CaseSet;
  /** `conv2d 2x16x16x128 . 3x3x128x128 . . f32`: the same shape has the same name in every run. */
  readonly name: string;
  readonly node: Node;
  /** Dispatches of a step that have this shape; 0 where it runs once a request, or not at all. */
  readonly uses: number;
}

/** The loops that a user can ask of the shipped model, between which all its ops are met: k = 2, guidance. */
export const loops: readonly Omit<ReimagenShape, "storage">[] = [
  { thresholding: { kind: "static", range: 1 } as const, stochastic: false, multistep: true },
  { thresholding: { kind: "dynamic", quantile: 0.995, max: 3 } as const, stochastic: true, multistep: false },
  { thresholding: { kind: "none" } as const, stochastic: false, multistep: false, remembered: rememberedAnswers },
].map((sampler) => ({ pictures: 1, evaluations: 2, texts: textRows, neighbors: 2, ...sampler }));

/**
 * Every op of a model's loops at every shape, each once. Ops that fusing leaves nothing of (enlarging, joining) are taken from the graph
 * as it was built, with no uses; those that only processors run are there where their kernels are loaded. `software`: as a software adapter fuses.
 */
export function modelCases(config: ModelConfig, storage: "f32" | "f16", software: boolean): OpCase[] {
  const cases = new Map<string, OpCase>();
  const add = (node: Node, used: boolean) => {
    if (sizeOf(node.output.type) === 0) return;
    const name = nameOf(node);
    const known = cases.get(name);
    cases.set(name, { set: "shipped", name, node: known?.node ?? node, uses: (known?.uses ?? 0) + Number(used) });
  };
  const graphs = loops.map((shape) => prune(denoisingLoop(reimagenModel(config, shape), { ...shape, storage })));
  graphs.forEach((built, i) => {
    const graph = fuse(built, software);
    const step = new Set(hoist(graph).step);
    // The first loop is the shipped recipe's: its step is the one that is counted.
    for (const node of graph.nodes) add(node, i === 0 && step.has(node));
  });
  const met = new Set([...cases.values()].map(({ node }) => node.op.name));
  for (const graph of [...graphs, ...graphs.map((built) => winograd(fuse(built), processor))])
    for (const node of unmet(graph, met)) add(node, false);
  add(castNode(config, storage), false);
  return [...cases.values()];
}

const processor = { software: true, subgroupSize: 4 };

/** Only models whose channels do not come in fours change storage on the way; here the finest feature map does. */
function castNode({ size, patch, channels }: ModelConfig, storage: "f32" | "f16"): Node {
  const g = new GraphBuilder(storage);
  const x = g.input("x", [2, size / patch, size / patch, channels[0]!], "step", storage);
  g.apply(cast, [x], { dtype: storage === "f16" ? "f32" : "f16" });
  return g.finish().nodes[0]!;
}

const unmet = (graph: Graph, met: ReadonlySet<string>) => graph.nodes.filter(({ op }) => !met.has(op.name));

/** What tells one case from another: op, types, and attributes that are plain. */
export function nameOf({ op, inputs, output, attributes }: Node): string {
  const shapes = inputs.map((value) => value?.type.shape.join("x") ?? "-");
  const types = new Set(
    [...inputs, output].map((value) => value?.type.dtype).filter((dtype) => dtype && dtype !== "u32"),
  );
  const plain = Object.entries(attributes as Record<string, unknown>).flatMap(([key, value]) => {
    if (key === "segments") return [];
    if (typeof value === "number") return isDefault(key, value) ? [] : [`${key}=${Number(value.toPrecision(3))}`];
    return typeof value === "string" && value !== "none" && key !== "dtype" ? [`${key}=${value}`] : [];
  });
  return [op.name, ...trimmed(shapes), [...types].sort().join("/") || "u32", ...plain].join(" ");
}

/** Values of a case's operands: normals, and integers that mean something to the op; null where an operand is missing. */
export function operandsOf({ node }: OpCase): (Stored | null)[] {
  return node.inputs.map((value, i) => {
    if (!value) return null;
    if (value.source.kind === "constant" && value.source.data instanceof Uint32Array)
      return storedIntegers(value.type, value.source.data);
    return value.type.dtype === "u32" ? integersFor(node, value.type) : storedNormals(value.type, i);
  });
}

/** Floating-point operations of a case with the operands above. */
export function flopsOf({ node }: OpCase): number {
  const types = node.inputs.map((value) => value?.type ?? null);
  return node.op.flops?.(types, node.output.type, node.attributes) ?? 0;
}

/** Bytes that a case must read and write at least: every operand and the result once. */
export function bytesOf({ node }: OpCase): number {
  const bytes = ({ type }: Value) => sizeOf(type) * (type.dtype === "f16" ? 2 : 4);
  return [...node.inputs, node.output].reduce((sum, value) => sum + (value ? bytes(value) : 0), 0);
}

function integersFor({ op, inputs }: Node, type: TensorType): Stored {
  const count = sizeOf(type);
  const fill = (value: (i: number) => number) =>
    storedIntegers(
      type,
      Uint32Array.from({ length: count }, (_, i) => value(i)),
    );
  if (op.name === "attention") {
    // Every sample sees one row of each segment, its own where there are as many: what the op counts as its work.
    const segments = inputs.slice(3);
    return fill((i) => {
      const segment = segments[Math.floor(i / 2) % segments.length];
      if (!segment) return 0;
      const [rows, ...rest] = segment.type.shape as [number, ...number[]];
      const sample = Math.floor(i / 2 / segments.length);
      return i % 2 ? rest.slice(0, -1).reduce((product, extent) => product * extent, 1) : sample % rows;
    });
  }
  if (op.name === "embedding") return fill((i) => i % inputs[0]!.type.shape[0]!);
  if (op.name === "mean_pool") return fill(() => inputs[0]!.type.shape[1]!);
  return fill((i) => i + 1);
}

const isDefault = (key: string, value: number) =>
  (value === 1 && ["stride", "upsample"].includes(key)) || (value === 0 && ["padding", "queries"].includes(key));

/** Without the absent operands at the end. */
function trimmed(shapes: readonly string[]): string[] {
  return shapes.slice(0, shapes.findLastIndex((shape) => shape !== "-") + 1);
}
