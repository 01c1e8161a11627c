// Reads the parts that Hugging Face tokenizer.json files of every kind have, refusing by name what is not supported.
import { ReimagenError } from "../errors.ts";

/** A JSON object. */
export type Json = Record<string, unknown>;

/** Parses a JSON object. Errors: config. */
export function parseJson(name: string, text: string): Json {
  let file: unknown;
  try {
    file = JSON.parse(text);
  } catch (cause) {
    throw new ReimagenError("config", `${name} is not JSON`, { cause });
  }
  if (!isObject(file)) throw new ReimagenError("config", `${name} is not a JSON object`);
  return file;
}

/** Whether a value is a JSON object. */
export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether two JSON values are the same, whatever the order of their keys. */
export function isSame(value: unknown, expected: unknown): boolean {
  return canonical(value ?? null) === canonical(expected);
}

/** Throws `config` unless the component is exactly the one expected. */
export function requireValue(name: string, what: string, value: unknown, expected: unknown): void {
  if (!isSame(value, expected)) throw unsupported(name, what, value);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

/** The error for a component that is not supported. */
export function unsupported(name: string, what: string, value: unknown): ReimagenError {
  const text = JSON.stringify(value) ?? "nothing";
  const shown = text.length > 120 ? `${text.slice(0, 120)}...` : text;
  return new ReimagenError("config", `${name}: the ${what} ${shown} is not supported`);
}

/** The model's vocab of tokens and ids. Errors: config. */
export function readVocabulary(name: string, vocab: unknown): ReadonlyMap<string, number> {
  if (!isObject(vocab) || Object.values(vocab).some((id) => !Number.isInteger(id) || (id as number) < 0)) {
    throw new ReimagenError("config", `${name}: the model's vocab is not a map from tokens to ids`);
  }
  return new Map(Object.entries(vocab) as [string, number][]);
}

/** The regular expression of a pattern. Errors: config. */
export function readRegex(name: string, pattern: string): RegExp {
  try {
    return new RegExp(pattern, "gu");
  } catch (cause) {
    throw new ReimagenError("config", `${name}: the pre_tokenizer's regular expression ${pattern} is not understood`, {
      cause,
    });
  }
}

/** The one token that a TemplateProcessing appends to a text. Errors: config (any other template). */
export function readEndToken(name: string, component: unknown): string {
  const single = isObject(component) && component.type === "TemplateProcessing" ? component.single : undefined;
  const last = Array.isArray(single) ? single[1] : undefined;
  const end = isObject(last) && isObject(last.SpecialToken) ? last.SpecialToken.id : undefined;
  if (typeof end !== "string") throw unsupported(name, "post_processor", component);
  const expected = [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: end, type_id: 0 } }];
  requireValue(name, "post_processor's single", single, expected);
  return end;
}

/** The id of a token that the file needs. Errors: config. */
export function idOf(name: string, vocabulary: ReadonlyMap<string, number>, what: string, token: unknown): number {
  const id = vocabulary.get(String(token));
  if (id === undefined) {
    throw new ReimagenError("config", `${name}: the ${what} ${JSON.stringify(token)} is not in its vocab`);
  }
  return id;
}

/** Contents and ids of the added tokens, which must all be special: a prompt that spells one is text like any other. Errors: config. */
export function readSpecialTokens(name: string, tokens: unknown): ReadonlyMap<string, number> {
  if (!Array.isArray(tokens)) throw unsupported(name, "added_tokens", tokens);
  return new Map(
    tokens.map((token) => {
      if (!isObject(token) || token.special !== true || !Number.isInteger(token.id)) {
        throw unsupported(name, "added_tokens", token);
      }
      return [String(token.content), token.id as number];
    }),
  );
}
