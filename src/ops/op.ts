// What an op is: its shape rule, its plain f64 reference, and the kernels that can run it.
import { ReimagenError } from "../errors.ts";
import type { DType, Kernel } from "../gpu/kernel.ts";
import type { DeviceTraits } from "../gpu/traits.ts";

export type { DType } from "../gpu/kernel.ts";

/** Shape and element type of a tensor. Activations are NHWC: [B, H, W, C], or [B, tokens, C]; the last axis is contiguous. */
export interface TensorType {
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** A tensor of the reference implementation: f64 (or integers), row-major. */
export interface ReferenceTensor {
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

/** One dispatch, as data: what to run and over how many workgroups. Bindings: the inputs in order, then the output. */
export interface Launch {
  readonly kernel: Kernel;
  readonly workgroups: readonly [number, number, number];
  /** Values of the kernel's parameters, in order. */
  readonly parameters?: readonly number[];
}

/** One way to run an op. */
export interface Variant<Attributes> {
  /** The kernel file's name without its ending, such as `conv2d.tiled`. */
  readonly name: string;
  /** Whom it is for; the choice prefers a variant for the adapter at hand. */
  readonly suits: "any" | "software" | "hardware";
  /** Why it cannot run here, in a few words; undefined when it can. */
  unfit?(traits: DeviceTraits, inputs: Operands, output: TensorType, attributes: Attributes): string | undefined;
  /** Why another that comes later is probably faster on these shapes, in a few words; measurements overrule it. */
  unfavoured?(inputs: Operands, output: TensorType, attributes: Attributes, traits: DeviceTraits): string | undefined;
  launch(inputs: Operands, output: TensorType, attributes: Attributes, traits: DeviceTraits): Launch;
}

/** Types of an op's inputs; null where an optional operand is missing. */
export type Operands = readonly (TensorType | null)[];

/** An operation of the graph: one output, one dispatch. */
export interface Op<Attributes> {
  readonly name: string;
  /** Type of the output. Throws `shape` or `dtype`, naming op, operand and both shapes. */
  infer(inputs: Operands, attributes: Attributes): TensorType;
  /** The definition, in f64, as plainly as it can be written. */
  reference(inputs: readonly (ReferenceTensor | null)[], output: TensorType, attributes: Attributes): Float64Array;
  /** Floating-point operations of one run; absent for ops that only move data. */
  flops?(inputs: Operands, output: TensorType, attributes: Attributes): number;
  /** In order of preference. */
  readonly variants: readonly Variant<Attributes>[];
}

/** Number of elements. */
export function sizeOf(type: TensorType): number {
  return type.shape.reduce((product, extent) => product * extent, 1);
}

/** `[2, 16, 16, 128]`, as errors and tables show a shape. */
export function showShape(shape: readonly number[]): string {
  return `[${shape.join(", ")}]`;
}

/** The error of a shape rule: op, operand, what it expected, what came. */
export function shapeError(op: string, operand: string, expected: string, got: readonly number[]): ReimagenError {
  return new ReimagenError("shape", `${op}: ${operand} must be ${expected}, got ${showShape(got)}`);
}

/** The operand, or a `shape` error if it is missing. */
export function required(op: string, operand: string, inputs: Operands, index: number): TensorType {
  const type = inputs[index];
  if (!type) throw new ReimagenError("shape", `${op}: ${operand} is missing`);
  return type;
}

/** Throws `shape` unless `type`, when present, has exactly this shape. */
export function expectShape(
  op: string,
  operand: string,
  type: TensorType | null | undefined,
  shape: readonly number[],
): void {
  if (type && showShape(type.shape) !== showShape(shape)) throw shapeError(op, operand, showShape(shape), type.shape);
}

/** Storage of an operand for a kernel's prelude; a missing one reads as f32 and is never touched. */
export function storageOf(type: TensorType | null | undefined): "f32" | "f16" | "q8" {
  return type?.dtype === "f16" || type?.dtype === "q8" ? type.dtype : "f32";
}

/**
 * Workgroups for `count` invocations in one dimension, folded into two when the device's 65,535 a dimension do not suffice.
 * Kernels recover the index as `id.x + id.y * workgroups.x * SIZE` and check it against the output's length.
 */
export function grid1d(count: number, workgroupSize: number): [number, number, number] {
  const groups = Math.max(1, Math.ceil(count / workgroupSize));
  if (groups <= 65535) return [groups, 1, 1];
  const rows = Math.ceil(groups / 65535);
  return [Math.ceil(groups / rows), rows, 1];
}
