// Turns a prompt into token ids, as a Hugging Face tokenizer.json of the WordPiece kind says.

import { ReimagenError } from "../errors.ts";

/** A prompt as a text encoder takes it, and what of it was lost on the way. */
export interface TokenizedText {
  /** [maxLength]: the tokens, the end token, then padding (0). */
  readonly ids: Int32Array;
  /** How many ids are not padding. */
  readonly length: number;
  /** The text that did not fit in. */
  readonly cut: string | undefined;
  /** Words that became the unknown token or lost letters or symbols that the vocabulary has not, each once. */
  readonly unknown: readonly string[];
}

/** A tokenizer read from its file. */
export interface Tokenizer {
  /** One more than the greatest id. */
  readonly vocabularySize: number;
  /** Encodes a text, keeping at most maxLength - 1 tokens before the end token. Errors: argument (no room for the end token). */
  tokenize(text: string, maxLength: number): TokenizedText;
}

interface Word {
  text: string;
  /** Where it begins in the lower-cased text. */
  begin: number;
}

interface Piece {
  id: number;
  /** Where it begins in the lower-cased text. */
  begin: number;
}

interface WordPiece {
  vocabulary: ReadonlyMap<string, number>;
  unknownId: number;
  prefix: string;
  longestWord: number;
}

/**
 * Reads a tokenizer.json: Lowercase, a Split that removes what its regular expression matches, WordPiece (greedy longest match),
 * a template that appends one end token, padding id 0. `name` is for messages. Errors: config, naming any other component.
 */
export function readTokenizer(name: string, json: string): Tokenizer {
  const file = parseFile(name, json);
  requireValue(name, "truncation", file.truncation, null);
  requireValue(name, "padding", file.padding, null);
  requireValue(name, "normalizer", file.normalizer, { type: "Lowercase" });
  const separator = readSeparator(name, file.pre_tokenizer);
  const model = readModel(name, file.model);
  checkAddedTokens(name, file.added_tokens, model);
  const endId = readEndToken(name, file.post_processor, model);

  function tokenize(text: string, maxLength: number): TokenizedText {
    if (!Number.isInteger(maxLength) || maxLength < 1) {
      throw new ReimagenError("argument", `at least 1 token is needed for the end of a text, and ${maxLength} came`);
    }
    const { lower, origin } = lowerCase(text);
    const words = splitWords(lower, separator).map((word) => ({ ...word, pieces: wordPieces(model, word) }));
    const pieces = words.flatMap((word) => word.pieces);
    const kept = pieces.slice(0, maxLength - 1);
    const ids = new Int32Array(maxLength);
    ids.set([...kept.map(({ id }) => id), endId]);
    const firstCut = pieces.at(maxLength - 1);
    const cut = firstCut && text.slice(origin[firstCut.begin]).trim();
    const covered = new Uint8Array(text.length);
    for (const { text: word, begin, pieces } of words) {
      if (pieces[0].id !== model.unknownId) covered.fill(1, origin[begin], origin[begin + word.length]);
    }
    return { ids, length: kept.length + 1, cut, unknown: lostWords(text, covered) };
  }

  const vocabularySize = [...model.vocabulary.values()].reduce((greatest, id) => Math.max(greatest, id), 0) + 1;
  return { vocabularySize, tokenize };
}

function parseFile(name: string, json: string): Record<string, unknown> {
  let file: unknown;
  try {
    file = JSON.parse(json);
  } catch (cause) {
    throw new ReimagenError("config", `${name} is not JSON`, { cause });
  }
  if (!isObject(file)) throw new ReimagenError("config", `${name} is not a JSON object`);
  return file;
}

function readSeparator(name: string, component: unknown): RegExp {
  const pattern = isObject(component) && isObject(component.pattern) ? component.pattern.Regex : undefined;
  if (typeof pattern !== "string") throw unsupported(name, "pre_tokenizer", component);
  const expected = { type: "Split", pattern: { Regex: pattern }, behavior: "Removed", invert: false };
  requireValue(name, "pre_tokenizer", component, expected);
  try {
    return new RegExp(pattern, "gu");
  } catch (cause) {
    throw new ReimagenError("config", `${name}: the pre_tokenizer's regular expression ${pattern} is not understood`, {
      cause,
    });
  }
}

function readModel(name: string, model: unknown): WordPiece {
  if (!isObject(model) || model.type !== "WordPiece") throw unsupported(name, "model", model);
  const { vocab, unk_token: unknown, continuing_subword_prefix: prefix, max_input_chars_per_word: longest } = model;
  if (!isObject(vocab) || Object.values(vocab).some((id) => !Number.isInteger(id) || (id as number) < 0)) {
    throw new ReimagenError("config", `${name}: the model's vocab is not a map from tokens to ids`);
  }
  const vocabulary = new Map(Object.entries(vocab) as [string, number][]);
  const unknownId = vocabulary.get(String(unknown));
  if (unknownId === undefined) {
    throw new ReimagenError("config", `${name}: the model's unk_token ${JSON.stringify(unknown)} is not in its vocab`);
  }
  if (typeof prefix !== "string" || !Number.isInteger(longest)) {
    throw new ReimagenError(
      "config",
      `${name}: the model needs a continuing_subword_prefix and max_input_chars_per_word`,
    );
  }
  return { vocabulary, unknownId, prefix, longestWord: longest as number };
}

// Added tokens are only special ones: a prompt that spells "[EOS]" is text like any other.
function checkAddedTokens(name: string, tokens: unknown, { vocabulary }: WordPiece): void {
  if (!Array.isArray(tokens)) throw unsupported(name, "added_tokens", tokens);
  for (const token of tokens) {
    if (!isObject(token) || token.special !== true || vocabulary.get(String(token.content)) !== token.id) {
      throw unsupported(name, "added_tokens", token);
    }
  }
  if (!tokens.some((token) => token.id === 0)) {
    throw new ReimagenError("config", `${name}: id 0 is not a special token, and it stands for padding`);
  }
}

function readEndToken(name: string, component: unknown, { vocabulary }: WordPiece): number {
  const single = isObject(component) && component.type === "TemplateProcessing" ? component.single : undefined;
  const end = Array.isArray(single) && isObject(single[1]?.SpecialToken) ? single[1].SpecialToken.id : undefined;
  if (typeof end !== "string") throw unsupported(name, "post_processor", component);
  const expected = [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: end, type_id: 0 } }];
  requireValue(name, "post_processor's single", single, expected);
  const id = vocabulary.get(end);
  if (id === undefined) throw new ReimagenError("config", `${name}: the end token "${end}" is not in the vocab`);
  return id;
}

// Lower-casing can lengthen a text; origin[i] is where lower[i] came from, so that messages quote the text as it was written.
function lowerCase(text: string): { lower: string; origin: number[] } {
  let lower = "";
  const origin: number[] = [];
  let offset = 0;
  for (const character of text) {
    const lowered = character.toLowerCase();
    for (let i = 0; i < lowered.length; i++) origin.push(offset + (lowered.length === character.length ? i : 0));
    lower += lowered;
    offset += character.length;
  }
  origin.push(offset);
  return { lower, origin };
}

function splitWords(text: string, separator: RegExp): Word[] {
  const words: Word[] = [];
  let begin = 0;
  for (const match of [...text.matchAll(separator), undefined]) {
    const end = match?.index ?? text.length;
    if (end > begin) words.push({ text: text.slice(begin, end), begin });
    begin = end + (match?.[0].length ?? 0);
  }
  return words;
}

function wordPieces(model: WordPiece, { text: word, begin }: Word): Piece[] {
  const { vocabulary, unknownId, prefix, longestWord } = model;
  const unknown = [{ id: unknownId, begin }];
  if ([...word].length > longestWord) return unknown;
  const pieces: Piece[] = [];
  for (let start = 0; start < word.length; ) {
    let end = word.length;
    let id: number | undefined;
    for (; end > start; end--) {
      id = vocabulary.get((start > 0 ? prefix : "") + word.slice(start, end));
      if (id !== undefined) break;
    }
    if (id === undefined) return unknown;
    pieces.push({ id, begin: begin + start });
    start = end;
  }
  return pieces;
}

// Words, and symbols such as emoji with what modifies them: their loss is told; punctuation and space may vanish unnoticed.
const meaningful =
  /[\p{L}\p{N}\p{M}]+|[\p{So}\p{Emoji_Presentation}](?:[\p{So}\p{Sk}\p{Emoji_Presentation}]|\u200d|\ufe0f)*/gu;

function lostWords(text: string, covered: Uint8Array): string[] {
  const lost = new Set<string>();
  for (const { 0: run, index } of text.matchAll(meaningful)) {
    if (covered.subarray(index, index + run.length).includes(0)) lost.add(run);
  }
  return [...lost];
}

function requireValue(name: string, what: string, value: unknown, expected: unknown): void {
  if (canonical(value ?? null) !== canonical(expected)) throw unsupported(name, what, value);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item) =>
    isObject(item) ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1))) : item,
  );
}

function unsupported(name: string, what: string, value: unknown): ReimagenError {
  const text = JSON.stringify(value) ?? "nothing";
  const shown = text.length > 120 ? `${text.slice(0, 120)}...` : text;
  return new ReimagenError("config", `${name}: the ${what} ${shown} is not supported`);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
