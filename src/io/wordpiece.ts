// WordPiece: each word spelled with the longest pieces that the vocabulary has, as the shipped model's tokenizer.json says.
import { ReimagenError } from "../errors.ts";
import {
  idOf,
  isObject,
  type Json,
  readEndToken,
  readRegex,
  readSpecialTokens,
  readVocabulary,
  requireValue,
  unsupported,
} from "./tokenizer-json.ts";
import { fitPieces, greatest, lowerCase, type Piece, type Tokenizer } from "./tokens.ts";

interface Word {
  text: string;
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
 * A tokenizer of the WordPiece kind: Lowercase, a Split that removes what its regular expression matches, WordPiece (greedy longest match),
 * a template that appends one end token, padding id 0. Errors: config, naming any other component.
 */
export function readWordPiece(name: string, file: Json): Tokenizer {
  requireValue(name, "truncation", file.truncation, null);
  requireValue(name, "padding", file.padding, null);
  requireValue(name, "normalizer", file.normalizer, { type: "Lowercase" });
  const separator = readSeparator(name, file.pre_tokenizer);
  const model = readModel(name, file.model);
  checkAddedTokens(name, file.added_tokens, model);
  const frame = {
    end: idOf(name, model.vocabulary, "end token", readEndToken(name, file.post_processor)),
    padding: 0,
  };
  return {
    vocabularySize: greatest(model.vocabulary.values()) + 1,
    tokenize(text, maxLength) {
      const { lower, origin } = lowerCase(text);
      const pieces = splitWords(lower, separator)
        .flatMap((word) => wordPieces(model, word))
        .map((piece) => ({ ...piece, begin: origin[piece.begin]!, end: origin[piece.end]! }));
      return fitPieces(text, pieces, frame, maxLength);
    },
  };
}

function readSeparator(name: string, component: unknown): RegExp {
  const pattern = isObject(component) && isObject(component.pattern) ? component.pattern.Regex : undefined;
  if (typeof pattern !== "string") throw unsupported(name, "pre_tokenizer", component);
  const expected = { type: "Split", pattern: { Regex: pattern }, behavior: "Removed", invert: false };
  requireValue(name, "pre_tokenizer", component, expected);
  return readRegex(name, pattern);
}

function readModel(name: string, model: unknown): WordPiece {
  if (!isObject(model)) throw unsupported(name, "model", model);
  const { vocab, unk_token: unknown, continuing_subword_prefix: prefix, max_input_chars_per_word: longest } = model;
  const vocabulary = readVocabulary(name, vocab);
  const unknownId = idOf(name, vocabulary, "model's unk_token", unknown);
  if (typeof prefix !== "string" || !Number.isInteger(longest)) {
    throw new ReimagenError(
      "config",
      `${name}: the model needs a continuing_subword_prefix and max_input_chars_per_word`,
    );
  }
  return { vocabulary, unknownId, prefix, longestWord: longest as number };
}

function checkAddedTokens(name: string, tokens: unknown, { vocabulary }: WordPiece): void {
  const special = readSpecialTokens(name, tokens);
  for (const [content, id] of special) {
    if (vocabulary.get(content) !== id) throw unsupported(name, "added_tokens", { content, id });
  }
  if (![...special.values()].includes(0)) {
    throw new ReimagenError("config", `${name}: id 0 is not a special token, and it stands for padding`);
  }
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
  const unknown = [{ id: unknownId, begin, end: begin + word.length, known: false }];
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
    pieces.push({ id, begin: begin + start, end: begin + end, known: id !== unknownId });
    start = end;
  }
  return pieces;
}
