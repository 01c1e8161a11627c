// The gate before the timer: every kernel's result against the op's f64 reference, or against a kernel that was held against it.
import type { Gpu } from "../../src/gpu/gpu.ts";
import { sizeOf, type TensorType, type Variant } from "../../src/ops/op.ts";
import { flopsOf, type OpCase } from "./cases.ts";
import { decode, inF32, prepare, releaseAll, type Stored, upload } from "./dispatch.ts";

/** What a case's result should be, and who says so. */
export interface Expectation {
  readonly values: Float64Array;
  /** `f64`: the op's reference; else the name of a kernel. */
  readonly by: string;
}

/** Relative L2 distance that f32 sums in another order may make over the longest rows here. */
const TOLERANCE = 1e-4;
/** The same for results stored as halves. */
const TOLERANCE_F16 = 2e-3;

/** What the reference may cost, in its own operations (some 3e8 a second). */
const affordable = 3e8;

/** The expected result of a case on these operands; undefined where neither the reference nor a plain kernel can tell. */
export async function expectation(
  gpu: Gpu,
  entry: OpCase,
  operands: readonly (Stored | null)[],
): Promise<Expectation | undefined> {
  const { op, output, attributes } = entry.node;
  if (referenceCost(entry) <= affordable) {
    const tensors = operands.map((o) => o && { shape: o.type.shape, data: decode(o.bytes.buffer, o.type) });
    return { values: op.reference(tensors, output.type, attributes), by: "f64" };
  }
  const plain = op.variants.at(-1)!;
  const single = operands.map((operand) => operand && inF32(operand));
  const types = single.map((operand) => operand?.type ?? null);
  const result: TensorType = output.type.dtype === "f16" ? { ...output.type, dtype: "f32" } : output.type;
  const settings = withoutStorage(attributes);
  if (plain.unfit?.(gpu.traits, types, result, settings)) return undefined;
  const values = await runOnce(gpu, plain, single, result, settings);
  return { values, by: plain.name };
}

/** Why a result is wrong; undefined when it is as expected. */
export function complaint(got: Float64Array, { values }: Expectation, output: TensorType): string | undefined {
  const error = relativeError(got, values);
  const limit = output.dtype === "f16" ? TOLERANCE_F16 : TOLERANCE;
  return error <= limit ? undefined : `relative L2 error ${error.toExponential(1)}, at most ${limit} is allowed`;
}

/** ||got - expected|| / ||expected||; the plain norm where nothing is expected but zeros. */
export function relativeError(got: ArrayLike<number>, expected: ArrayLike<number>): number {
  let difference = 0;
  let norm = 0;
  for (let i = 0; i < expected.length; i++) {
    difference += (got[i]! - expected[i]!) ** 2;
    norm += expected[i]! ** 2;
  }
  return Math.sqrt(norm > 0 ? difference / norm : difference);
}

/** Operations of the f64 reference, roughly. */
function referenceCost(entry: OpCase): number {
  const { op, inputs, output, attributes } = entry.node;
  const elements = sizeOf(output.type) + sizeOf(inputs[0]!.type);
  // It gathers the whole group anew for each of its channels.
  const again =
    op.name === "group_norm_affine" ? inputs[2]!.type.shape[0]! / (attributes as { groups: number }).groups : 1;
  return Math.max(flopsOf(entry) * again * 4 ** Number(op.name === "attention"), elements * 20);
}

async function runOnce(
  gpu: Gpu,
  variant: Variant<unknown>,
  operands: readonly (Stored | null)[],
  output: TensorType,
  attributes: unknown,
): Promise<Float64Array> {
  const buffers = upload(gpu, operands);
  const types = operands.map((operand) => operand?.type ?? null);
  try {
    const prepared = await prepare(gpu, variant.launch(types, output, attributes, gpu.traits), buffers, types, output);
    const values = await prepared.read();
    prepared.dispose();
    return values;
  } finally {
    releaseAll(gpu, buffers);
  }
}

/** Attributes that ask for halves ask for f32 instead. */
function withoutStorage(attributes: unknown): unknown {
  const { dtype, ...rest } = attributes as { dtype?: string };
  return dtype === "f16" ? { ...rest, dtype: "f32" } : attributes;
}
