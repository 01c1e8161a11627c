// Checks that ops share: element types of operands, and why a vec4 or a scalar kernel cannot run.
import { ReimagenError } from "../errors.ts";
import type { DType, TensorType } from "./op.ts";

type Operand = TensorType | null | undefined;

/** Throws `dtype` unless the operand, when present, is stored as one of `allowed`. */
export function expectDtype(op: string, operand: string, type: Operand, ...allowed: readonly DType[]): void {
  if (type && !allowed.includes(type.dtype))
    throw new ReimagenError("dtype", `${op}: ${operand} must be ${allowed.join(" or ")}, got ${type.dtype}`);
}

/** Why a kernel that takes four channels at a time cannot run: a last axis that is not a multiple of 4. */
export function unfitForVec4(...types: readonly Operand[]): string | undefined {
  const odd = types.find((type) => type && type.shape.at(-1)! % 4 !== 0);
  return odd ? `last axis ${odd.shape.at(-1)} is not a multiple of 4` : undefined;
}

/** Why a scalar kernel cannot run: packed halves or codes. */
export function unfitForScalar(...types: readonly Operand[]): string | undefined {
  const packed = types.find((type) => type?.dtype === "f16" || type?.dtype === "q8");
  return packed ? `${packed.dtype} storage` : undefined;
}

/** Whether a tensor of the first shape, repeated, is one of the second; its last extent at least is whole. */
export function isTrailing(part: readonly number[], whole: readonly number[]): boolean {
  return part.length > 0 && part.length <= whole.length && part.every((n, i) => n === whole.at(i - part.length));
}
