// Range checks on the numeric options of sampling.
import { ReimagenError } from "../errors.ts";

/** Throws `argument` unless `value` is a finite number in [low, high]. */
export function checkNumber(name: string, value: number, low: number, high: number): void {
  if (Number.isFinite(value) && value >= low && value <= high) return;
  const expected = high === Number.POSITIVE_INFINITY ? `a finite number of at least ${low}` : `in [${low}, ${high}]`;
  throw new ReimagenError("argument", `${name} must be ${expected}, got ${value}`);
}

/** Throws `argument` unless `value` is a whole number in [low, high]. */
export function checkInteger(name: string, value: number, low: number, high: number): void {
  if (Number.isSafeInteger(value) && value >= low && value <= high) return;
  const expected = high === Number.MAX_SAFE_INTEGER ? `of at least ${low}` : `in [${low}, ${high}]`;
  throw new ReimagenError("argument", `${name} must be a whole number ${expected}, got ${value}`);
}

/** Throws `argument` unless `value` is one of `allowed`. */
export function checkChoice(name: string, value: string, allowed: readonly string[]): void {
  if (allowed.includes(value)) return;
  throw new ReimagenError("argument", `${name} must be one of ${allowed.join(", ")}, got ${value}`);
}
