// What the ops of the sampling loop share: f32 tensors whose first axis counts samples, treated element by element.
import type { Kernel } from "../gpu/kernel.ts";
import { grid1d, type Operands, required, shapeError, sizeOf, type TensorType, type Variant } from "./op.ts";
import { expectDtype } from "./operands.ts";

/** The operand, checked to be f32 [N, ...] with at least one axis after N. Throws `shape` or `dtype`. */
export function requiredSamples(op: string, operand: string, inputs: Operands, index: number): TensorType {
  const type = required(op, operand, inputs, index);
  if (type.shape.length < 2) throw shapeError(op, operand, "[N, ...]", type.shape);
  expectDtype(op, operand, type, "f32");
  return type;
}

/** Elements of one sample of [N, ...]. */
export function sampleSize(type: TensorType): number {
  return type.shape.slice(1).reduce((product, extent) => product * extent, 1);
}

/**
 * The two variants of an op that treats every element alike: `vec4` takes four a thread, `simple` one. `specialise` says
 * the rest of the kernel; `size` is the elements or vec4s of one sample. The choice does not depend on the number of samples.
 */
export function elementwise<Attributes>(
  op: string,
  code: { readonly vec4: string; readonly simple: string },
  specialise: (inputs: Operands, attributes: Attributes, size: number) => Omit<Kernel, "name" | "code">,
): Variant<Attributes>[] {
  const variant = (name: "vec4" | "simple", width: number): Variant<Attributes> => ({
    name: `${op}.${name}`,
    suits: "any",
    unfit: (_, __, output) =>
      sampleSize(output) % width
        ? `a sample of ${sampleSize(output)} elements is not a multiple of ${width}`
        : undefined,
    launch: (inputs, output, attributes) => ({
      kernel: {
        name: `${op}.${name}`,
        code: code[name],
        ...specialise(inputs, attributes, sampleSize(output) / width),
      },
      workgroups: grid1d(sizeOf(output) / width, 64),
    }),
  });
  return [variant("vec4", 4), variant("simple", 1)];
}
