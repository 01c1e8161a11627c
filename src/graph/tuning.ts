// What was measured about kernels on one adapter: which of an op's variants is fastest for which shapes.
import { ReimagenError } from "../errors.ts";
import type { Op } from "../ops/op.ts";
import type { Node } from "./graph.ts";

/** The measurement of one kind of node. */
export interface Tuned {
  /** Variants that gave right results, the chosen one first, then by milliseconds a run. */
  readonly ranking: readonly { readonly variant: string; readonly milliseconds: number }[];
  /** Variants that gave wrong results, and are never chosen. */
  readonly wrong: readonly string[];
}

/** Measurements by kind of node (`kindOf`), all of one adapter and driver. */
export type Tuning = ReadonlyMap<string, Tuned>;

/** Where tunings are kept, a text an adapter: files in Node, storage in the browser. */
export interface TuningStore {
  /** Undefined where there is none. */
  load(adapter: string): Promise<string | undefined>;
  save(adapter: string, text: string): Promise<void>;
}

/** The kept measurements of an adapter; without any, or with damaged ones, none: they can be taken again. Errors: those of the store. */
export async function loadTuning(store: TuningStore, adapter: GPUAdapterInfo): Promise<Tuning> {
  const name = tuningName(adapter);
  const text = await store.load(name);
  try {
    return text === undefined ? new Map() : readTuning(name, text);
  } catch {
    return new Map();
  }
}

/** Keeps an adapter's measurements. Errors: those of the store. */
export function saveTuning(store: TuningStore, adapter: GPUAdapterInfo, tuning: Tuning): Promise<void> {
  return store.save(tuningName(adapter), writeTuning(tuning));
}

/** What decides how long a node takes: op, shapes, storage, attributes. */
export function kindOf({
  op,
  inputs,
  output,
  attributes,
}: Pick<Node, "op" | "inputs" | "output" | "attributes">): string {
  const show = (type: { shape: readonly number[]; dtype: string } | undefined) =>
    type ? `${type.dtype}[${type.shape}]` : "-";
  const operands = inputs.map((value) => show(value?.type)).join(" ");
  return `${op.name} ${operands} -> ${show(output.type)} ${JSON.stringify(attributes)}`;
}

/** A tuning as text. */
export function writeTuning(tuning: Tuning): string {
  return JSON.stringify({ version, kinds: Object.fromEntries(tuning) });
}

/** Reads what `writeTuning` wrote; text of another version is an empty tuning. Throws `config` for what is not a tuning. */
export function readTuning(name: string, text: string): Tuning {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new ReimagenError("config", `${name} is not JSON`, { cause });
  }
  if (typeof file !== "object" || file === null || !("version" in file))
    throw new ReimagenError("config", `${name} is not a tuning: it has no version`);
  if (file.version !== version || !("kinds" in file)) return new Map();
  const kinds = Object.entries(file.kinds as object);
  const stray = kinds.find(([, tuned]) => !isTuned(tuned));
  if (stray) throw new ReimagenError("config", `${name} is malformed at ${stray[0]}`);
  return new Map(kinds as [string, Tuned][]);
}

/** To be raised when kernels change so that old measurements mislead. */
const version = 2;

function isTuned(value: unknown): value is Tuned {
  if (typeof value !== "object" || value === null) return false;
  const { ranking, wrong } = value as Partial<Tuned>;
  return Array.isArray(ranking) && Array.isArray(wrong) && ranking.every((entry) => typeof entry?.variant === "string");
}

// Another driver is another adapter.
function tuningName({ vendor, architecture, device, description }: GPUAdapterInfo): string {
  return [vendor, architecture, device, description]
    .join(" ")
    .toLowerCase()
    .replace(/[^a-z0-9.]+/g, "-");
}

/** The measured best of an op's variants, if this kind was measured and the best still exists. */
export function bestOf(tuning: Tuning, node: Node): { variant: string; tuned: Tuned } | undefined {
  const tuned = tuning.get(kindOf(node));
  const variant = tuned?.ranking[0]?.variant;
  return tuned && variant && has(node.op, variant) ? { variant, tuned } : undefined;
}

function has(op: Op<unknown>, variant: string): boolean {
  return op.variants.some(({ name }) => name === variant);
}
