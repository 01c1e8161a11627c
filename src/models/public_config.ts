// Reads the config.json files of public checkpoints, so that no key in them goes unnoticed.
import { ReimagenError } from "../errors.ts";

/** A config under inspection. Each getter marks its key as understood and throws `config` when the value does not fit; a fallback serves a missing key or a null. */
export interface PublicConfig {
  /** A positive integer. */
  integer(key: string, fallback?: number): number;
  /** A positive integer, or nothing. */
  integerIfAny(key: string): number | undefined;
  /** A positive integer for all of `count` levels, or a list with one for each; as a list. */
  integers(key: string, count: number, fallback?: number): readonly number[];
  /** A truth value for all of `count` levels, or a list with one for each; as a list. */
  booleans(key: string, count: number, fallback?: boolean): readonly boolean[];
  /** A list of one or more positive integers. */
  widths(key: string): readonly number[];
  /** A text that is not empty. */
  text(key: string): string;
  /** Whether the value is a list. */
  isList(key: string): boolean;
  /** Any finite number. */
  number(key: string, fallback?: number): number;
  boolean(key: string, fallback?: boolean): boolean;
  /** One of `allowed`. */
  choice<T extends string>(key: string, allowed: readonly T[], fallback?: T): T;
  /** A list of names out of `allowed`. */
  list(key: string, allowed: readonly string[]): readonly string[];
  /** Keys that may be absent, null, or have one of these values: with any other the model would compute something else. */
  only(values: readonly unknown[], ...keys: string[]): void;
  /** Keys that say nothing about what is computed. */
  ignore(...keys: string[]): void;
  /** The error for a value that is understood but not supported. */
  unsupported(key: string, why: string): ReimagenError;
  /** Throws `config` naming the keys that nobody asked for, unless their value is null. */
  finish(): void;
}

/** Parses a config; `name` is for messages. Throws `config`. */
export function readPublicConfig(name: string, text: string): PublicConfig {
  const json = parse(name, text);
  const asked = new Set<string>();
  const fail = (message: string, cause?: unknown) => new ReimagenError("config", `${name}: ${message}`, { cause });
  const show = (value: unknown) => JSON.stringify(value) ?? "nothing";

  function take<T>(key: string, expected: string, fits: (value: unknown) => boolean, fallback?: T): T {
    asked.add(key);
    const value = json[key] ?? undefined;
    if (value === undefined && fallback !== undefined) return fallback;
    if (!fits(value)) throw fail(`${key} must be ${expected}, got ${show(value)}`);
    return value as T;
  }

  function each<T>(key: string, what: string, fits: (value: unknown) => boolean, count: number, fallback?: T): T[] {
    const fitsAll = (v: unknown) => fits(v) || (Array.isArray(v) && v.length === count && v.every(fits));
    const value = take<T | T[]>(key, `${what}, or a list of ${count}`, fitsAll, fallback);
    return Array.isArray(value) ? value : new Array<T>(count).fill(value);
  }

  return {
    integer: (key, fallback) => take(key, "a positive integer", isPositive, fallback),
    integerIfAny: (key) => take(key, "a positive integer or null", (v) => v === undefined || isPositive(v)),
    integers: (key, count, fallback) => each(key, "a positive integer", isPositive, count, fallback),
    booleans: (key, count, fallback) => each(key, "true or false", isBoolean, count, fallback),
    widths: (key) =>
      take(key, "a list of positive integers", (v) => Array.isArray(v) && v.length > 0 && v.every(isPositive)),
    text: (key) => take(key, "a text", (v) => typeof v === "string" && v !== ""),
    isList: (key) => Array.isArray(json[key]),
    number: (key, fallback) => take(key, "a number", Number.isFinite, fallback),
    boolean: (key, fallback) => take(key, "true or false", isBoolean, fallback),
    choice: (key, allowed, fallback) =>
      take(key, allowed.map(show).join(" or "), (v) => (allowed as readonly unknown[]).includes(v), fallback),
    list: (key, allowed) =>
      take(
        key,
        `a list of ${allowed.join(" or ")}`,
        (v) => Array.isArray(v) && v.length > 0 && v.every((item) => allowed.includes(item)),
      ),
    only(values, ...keys) {
      const shown = values.map(show);
      for (const key of keys)
        take(
          key,
          `${shown.join(" or ") || "absent"} to be supported`,
          (v) => v === undefined || shown.includes(show(v)),
        );
    },
    ignore(...keys) {
      for (const key of keys) asked.add(key);
    },
    unsupported: (key, why) => fail(`${key} ${show(json[key])} is not supported${why && `: ${why}`}`),
    finish() {
      const unknown = Object.keys(json).filter((key) => !asked.has(key) && json[key] !== null);
      if (unknown.length) throw fail(`not supported: ${unknown.map((key) => `${key} ${show(json[key])}`).join(", ")}`);
    },
  };
}

const isPositive = (value: unknown) => Number.isSafeInteger(value) && (value as number) > 0;
const isBoolean = (value: unknown) => typeof value === "boolean";

function parse(name: string, text: string): Record<string, unknown> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new ReimagenError("config", `${name} is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ReimagenError("config", `${name} is not a JSON object`);
  return json as Record<string, unknown>;
}
