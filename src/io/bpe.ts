// Byte-level byte-pair encoding (Sennrich et al., 2016; Radford et al., 2021) as CLIP's tokenizers have it.
import { ReimagenError } from "../errors.ts";
import {
  idOf,
  isObject,
  isSame,
  type Json,
  parseJson,
  readRegex,
  readSpecialTokens,
  readVocabulary,
  requireValue,
  unsupported,
} from "./tokenizer-json.ts";
import { type Frame, fitPieces, greatest, lowerCase, type Piece, type Tokenizer } from "./tokens.ts";

interface Bpe {
  vocabulary: ReadonlyMap<string, number>;
  /** Order in which pairs are joined, by both parts with a space between. */
  ranks: ReadonlyMap<string, number>;
  /** Matches the words of a text. */
  word: RegExp;
  unknownId: number;
  frame: Frame;
}

/**
 * A tokenizer.json of CLIP's kind: NFC, white space as one space, Lowercase; words by a regular expression; bytes as letters; BPE with `</w>` at a word's end;
 * a begin and an end token. `padding`: the token that fills up, the end token where nothing names one. Errors: config, naming any other component.
 */
export function readBpe(name: string, file: Json, padding?: string): Tokenizer {
  requireValue(name, "normalizer", file.normalizer, normalizer);
  const word = readWord(name, file.pre_tokenizer);
  const model = isObject(file.model) ? file.model : {};
  const { vocab, merges, ...options } = model;
  for (const [key, value] of Object.entries(options)) {
    const allowed = modelOptions[key];
    if (key !== "unk_token" && !allowed?.some((expected) => isSame(value, expected))) {
      throw unsupported(name, `model's ${key}`, value);
    }
  }
  if (options.end_of_word_suffix !== END) throw unsupported(name, "model's end_of_word_suffix", undefined);
  const vocabulary = readVocabulary(name, vocab);
  const special = readSpecialTokens(name, file.added_tokens);
  const all = new Map([...vocabulary, ...special]);
  const post = file.post_processor;
  const [begin, end] = isObject(post) && post.type === "RobertaProcessing" ? [post.cls, post.sep] : [];
  if (!isTokenOf(all, begin) || !isTokenOf(all, end)) throw unsupported(name, "post_processor", post);
  return tokenizerOf({
    vocabulary: all,
    ranks: readMerges(name, merges),
    word,
    unknownId: idOf(name, all, "model's unk_token", options.unk_token),
    frame: { begin: begin[1], end: end[1], padding: padding ? idOf(name, all, "pad token", padding) : end[1] },
  });
}

/**
 * CLIP's tokenizer of the files `vocab.json` and `merges.txt`, which know the tokens but not what is done to a text before: that is CLIP's own,
 * but for the repair of mangled encodings.
 * Errors: config.
 */
export function readClipVocabulary(name: string, vocab: string, merges: string, padding: string = CLIP_END): Tokenizer {
  const vocabulary = readVocabulary(`${name}/vocab.json`, parseJson(`${name}/vocab.json`, vocab));
  const lines = merges.split("\n").filter((line) => line !== "" && !line.startsWith("#version"));
  const id = (what: string, token: string) => idOf(`${name}/vocab.json`, vocabulary, what, token);
  const end = id("end token", CLIP_END);
  return tokenizerOf({
    vocabulary,
    ranks: readMerges(`${name}/merges.txt`, lines),
    word: readRegex(name, CLIP_WORD),
    unknownId: end,
    frame: { begin: id("begin token", CLIP_BEGIN), end, padding: id("pad token", padding) },
  });
}

const END = "</w>";
const CLIP_BEGIN = "<|startoftext|>";
const CLIP_END = "<|endoftext|>";
const CLIP_WORD = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\p{White_Space}\\p{L}\\p{N}]+";

const normalizer = {
  type: "Sequence",
  normalizers: [{ type: "NFC" }, { type: "Replace", pattern: { Regex: "\\s+" }, content: " " }, { type: "Lowercase" }],
};

const modelOptions: Record<string, readonly unknown[]> = {
  type: ["BPE"],
  dropout: [null],
  continuing_subword_prefix: ["", null],
  end_of_word_suffix: [END],
  fuse_unk: [false],
  byte_fallback: [false],
  ignore_merges: [false],
};

// White space is Unicode's in the files' regular expressions, and slightly another in JavaScript's.
function readWord(name: string, component: unknown): RegExp {
  const steps = isObject(component) && component.type === "Sequence" ? component.pretokenizers : undefined;
  const [split, bytes] = Array.isArray(steps) ? steps : [];
  const pattern = isObject(split) && isObject(split.pattern) ? split.pattern.Regex : undefined;
  if (typeof pattern !== "string") throw unsupported(name, "pre_tokenizer", component);
  requireValue(name, "pre_tokenizer", split, {
    type: "Split",
    pattern: { Regex: pattern },
    behavior: "Removed",
    invert: true,
  });
  // Splitting once more by GPT-2's words, which are the same or larger, changes nothing.
  const { use_regex: _, trim_offsets: __, ...rest } = isObject(bytes) ? bytes : {};
  requireValue(name, "pre_tokenizer", rest, { type: "ByteLevel", add_prefix_space: false });
  return readRegex(name, pattern.replaceAll("\\s", "\\p{White_Space}"));
}

function isTokenOf(vocabulary: ReadonlyMap<string, number>, value: unknown): value is [string, number] {
  return Array.isArray(value) && value[1] !== undefined && vocabulary.get(value[0]) === value[1];
}

function readMerges(name: string, merges: unknown): ReadonlyMap<string, number> {
  if (!Array.isArray(merges)) throw unsupported(name, "model's merges", merges);
  const ranks = new Map<string, number>();
  for (const [rank, merge] of merges.entries()) {
    const pair = typeof merge === "string" ? merge.split(" ") : merge;
    if (!Array.isArray(pair) || pair.length !== 2) {
      throw new ReimagenError(
        "config",
        `${name}: merge ${rank + 1} should be two tokens, got ${JSON.stringify(merge)}`,
      );
    }
    ranks.set(pair.join(" "), rank);
  }
  return ranks;
}

function tokenizerOf(model: Bpe): Tokenizer {
  return {
    vocabularySize: greatest(model.vocabulary.values()) + 1,
    tokenize(written, maxLength) {
      const text = written.normalize("NFC");
      const { lower, origin } = lowerCase(text);
      const pieces = [...lower.matchAll(model.word)].flatMap(({ 0: word, index }) =>
        wordPieces(model, word, index, origin),
      );
      return fitPieces(text, pieces, model.frame, maxLength);
    },
  };
}

interface Symbol {
  text: string;
  begin: number;
}

/** Joins the pair that the vocabulary learned first, all over the word, until none is left to join. */
function wordPieces(model: Bpe, word: string, index: number, origin: readonly number[]): Piece[] {
  let symbols = bytesAsLetters(word, index);
  symbols.at(-1)!.text += END;
  for (;;) {
    const ranks = symbols.slice(1).map((symbol, i) => model.ranks.get(`${symbols[i]!.text} ${symbol.text}`));
    const best = ranks.reduce<number>((least, rank) => Math.min(least, rank ?? least), Number.POSITIVE_INFINITY);
    if (best === Number.POSITIVE_INFINITY) break;
    const first = ranks.indexOf(best);
    const [left, right] = [symbols[first]!.text, symbols[first + 1]!.text];
    const joined: Symbol[] = [];
    for (let i = 0; i < symbols.length; i++) {
      const { text, begin } = symbols[i]!;
      const joins = text === left && symbols[i + 1]?.text === right;
      joined.push({ text: joins ? text + right : text, begin });
      // Of three alike the first two join.
      if (joins) i++;
    }
    symbols = joined;
  }
  return symbols.map(({ text, begin }, i) => {
    const id = model.vocabulary.get(text);
    const end = symbols[i + 1]?.begin ?? index + word.length;
    return { id: id ?? model.unknownId, begin: origin[begin]!, end: origin[end]!, known: id !== undefined };
  });
}

/** The word's UTF-8 bytes, each as the letter that stands for it, with the place of its character in the text. */
function bytesAsLetters(word: string, index: number): Symbol[] {
  const symbols: Symbol[] = [];
  let begin = index;
  for (const character of word) {
    for (const byte of encoder.encode(character)) symbols.push({ text: letters[byte]!, begin });
    begin += character.length;
  }
  return symbols;
}

const encoder = new TextEncoder();

/** GPT-2's letters for bytes (Radford et al., 2019): printable Latin-1 stands for itself, the rest for U+0100 and on. */
const letters = byteLetters();

function byteLetters(): string[] {
  const printable = (byte: number) => (byte > 0x20 && byte < 0x7f) || (byte > 0xa0 && byte !== 0xad);
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}
