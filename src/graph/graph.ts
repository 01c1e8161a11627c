// The graph: symbolic tensors, the nodes that make them, and the builder that checks shapes as it goes.
import { ReimagenError } from "../errors.ts";
import type { DType, Op, TensorType } from "../ops/op.ts";

/** How often something is computed: once per load, once per request (prompt and neighbours), or at every denoising step. */
export type Stage = "load" | "request" | "step";

/** Stages from the rarest to the most frequent. */
export const stages: readonly Stage[] = ["load", "request", "step"];

/**
 * What is run as a whole: a stage, or the `short step`, which replaces the step where the caller knows that the shorter of its two ways
 * (`GraphBuilder.either`) gives the same.
 */
export type Run = Stage | "short step";

/** All runs. */
export const runs: readonly Run[] = [...stages, "short step"];

/** How a checkpoint tensor (PyTorch layout) is repacked when it is loaded: `linear` [O, I] to [I, O], `conv` [O, I, KH, KW] to [KH, KW, I, O]. */
export type WeightLayout = "plain" | "linear" | "conv";

/** A tensor of the checkpoint that the graph reads; or several of one shape, joined along their first axis (as query, key and value). */
export interface Weight {
  readonly names: readonly string[];
  /** Of each, as in the checkpoint. */
  readonly shape: readonly number[];
  readonly layout: WeightLayout;
}

/** Where a value comes from. */
export type Source =
  | { readonly kind: "node" }
  | { readonly kind: "input"; readonly name: string; readonly stage: Stage; readonly onDevice?: boolean }
  | { readonly kind: "constant"; readonly data: Float32Array | Uint32Array }
  | { readonly kind: "weight"; readonly weight: Weight };

/** A symbolic tensor. */
export interface Value {
  readonly id: number;
  readonly type: TensorType;
  readonly source: Source;
}

/** One operation: one dispatch. */
export interface Node {
  readonly op: Op<unknown>;
  readonly attributes: unknown;
  readonly inputs: readonly (Value | null)[];
  readonly output: Value;
  /** Where in the model it stands, such as `up.1.0/conv1`. */
  readonly label: string;
  /** The only one of the two steps in which it runs; absent for both, and of no consequence outside the step. */
  readonly only?: "step" | "short step";
}

/** A whole computation, nodes in topological order. */
export interface Graph {
  readonly nodes: readonly Node[];
  /** What can be read back, by name. */
  readonly outputs: ReadonlyMap<string, Value>;
  /** Step inputs that take on the value of `next` after each step. */
  readonly states: readonly { readonly input: Value; readonly next: Value }[];
  /** Results of the short step's own nodes, by what they stand for: that of the step's own. Either lies in the same memory. */
  readonly instead: ReadonlyMap<Value, Value>;
}

/** Builds a graph; every method throws at once when shapes or types do not fit. */
export class GraphBuilder {
  readonly #nodes: Node[] = [];
  readonly #outputs = new Map<string, Value>();
  readonly #states: { input: Value; next: Value }[] = [];
  readonly #weights = new Map<string, Value>();
  readonly #inputs = new Set<string>();
  readonly #scope: string[] = [];
  readonly #instead = new Map<Value, Value>();
  #only: Node["only"];
  #values = 0;

  /** `storage`: element type of activations and tables. `weights`: that of matrices and convolution kernels, the same unless they are kept in 8 bits. */
  constructor(
    readonly storage: "f32" | "f16" = "f32",
    readonly weights: "f32" | "f16" | "q8" = storage,
  ) {}

  /** A tensor that the caller writes, at the frequency of `stage`; `onDevice`: that it fills there by itself at each step. */
  input(
    name: string,
    shape: readonly number[],
    stage: Exclude<Stage, "load">,
    dtype: DType = "f32",
    onDevice = false,
  ): Value {
    if (this.#inputs.has(name)) throw new ReimagenError("argument", `input ${name} is declared twice`);
    this.#inputs.add(name);
    return this.#value({ shape, dtype }, { kind: "input", name, stage, onDevice });
  }

  /** Fixed data, uploaded once. */
  constant(data: Float32Array | Uint32Array, shape: readonly number[]): Value {
    return this.#value({ shape, dtype: data instanceof Uint32Array ? "u32" : "f32" }, { kind: "constant", data });
  }

  /**
   * A checkpoint tensor, or several joined along their first axis; `shape` is that of each in the checkpoint. Packed halves need a last axis that is a multiple of 4, and matrices and
   * kernels also inputs that are; others stay f32, as do `plain` vectors (biases, norm parameters), which are small and want the range. `view`: the shape to read it as.
   */
  weight(
    name: string | readonly string[],
    shape: readonly number[],
    layout: WeightLayout = "plain",
    view?: readonly number[],
  ): Value {
    const names = typeof name === "string" ? [name] : name;
    const key = names.join();
    const existing = this.#weights.get(key);
    if (existing) return existing;
    const stored = view ?? storedShape([shape[0]! * names.length, ...shape.slice(1)], layout);
    const inputs = layout === "plain" ? 0 : stored.at(-2)!;
    const outputs = layout === "plain" ? stored.at(-1)! : shape[0]!;
    const packed = stored.length > 1 && inputs % 4 === 0 && outputs % 4 === 0;
    const dtype = packed ? (layout === "plain" ? this.storage : this.weights) : "f32";
    const value = this.#value({ shape: stored, dtype }, { kind: "weight", weight: { names, shape, layout } });
    this.#weights.set(key, value);
    return value;
  }

  /** Storage of an activation with this many channels. */
  storageFor(channels: number): "f32" | "f16" {
    return channels % 4 === 0 ? this.storage : "f32";
  }

  /** Adds a node. */
  apply<Attributes>(op: Op<Attributes>, inputs: readonly (Value | null)[], attributes: Attributes): Value {
    const type = op.infer(
      inputs.map((value) => value?.type ?? null),
      attributes,
    );
    const output = this.#value(type, { kind: "node" });
    const label = this.#scope.join("/");
    this.#nodes.push({
      op: op as Op<unknown>,
      ...{ attributes, inputs, output, label },
      ...(this.#only && { only: this.#only }),
    });
    return output;
  }

  /** A value that a step computes in the one way and a short step in the other. Throws `shape` where their types differ; not to be nested. */
  either(long: () => Value, short: () => Value): Value {
    const [value, other] = [this.#within("step", long), this.#within("short step", short)];
    if (value.type.shape.join() !== other.type.shape.join() || value.type.dtype !== other.type.dtype)
      throw new ReimagenError("shape", "a step and a short step must give a value of the same shape and type");
    this.#instead.set(value, other);
    return value;
  }

  /** Labels the nodes that `build` adds. */
  scope<T>(name: string, build: () => T): T {
    this.#scope.push(name);
    try {
      return build();
    } finally {
      this.#scope.pop();
    }
  }

  /** Makes a value readable by name. */
  output(name: string, value: Value): void {
    this.#outputs.set(name, value);
  }

  /** Lets `input` become `next` after every step. */
  state(input: Value, next: Value): void {
    if (
      input.source.kind !== "input" ||
      input.type.shape.join() !== next.type.shape.join() ||
      input.type.dtype !== next.type.dtype
    )
      throw new ReimagenError(
        "shape",
        "a state must be an input, and its next value must have the same shape and type",
      );
    this.#states.push({ input, next });
  }

  /** The finished graph. */
  finish(): Graph {
    return { nodes: this.#nodes, outputs: this.#outputs, states: this.#states, instead: this.#instead };
  }

  #within(run: "step" | "short step", build: () => Value): Value {
    this.#only = run;
    try {
      return build();
    } finally {
      this.#only = undefined;
    }
  }

  #value(type: TensorType, source: Source): Value {
    return { id: this.#values++, type, source };
  }
}

/** Shape of a weight in memory. */
export function storedShape(shape: readonly number[], layout: WeightLayout): readonly number[] {
  if (layout === "linear") return [shape[1]!, shape[0]!];
  if (layout === "conv") return [shape[2]!, shape[3]!, shape[1]!, shape[0]!];
  return shape;
}

/** Values that must be kept because someone outside the nodes reads them, or because the two steps share their place. */
export function keptValues(graph: Graph): Set<Value> {
  return new Set([...graph.outputs.values(), ...graph.states.map(({ next }) => next), ...[...graph.instead].flat()]);
}

/** All weights that the graph reads, once each. */
export function weightsOf(graph: Graph): Value[] {
  const values = new Set(graph.nodes.flatMap((node) => node.inputs));
  return [...values].filter((value): value is Value => value?.source.kind === "weight");
}
