// The unigram model (Kudo, 2018) as T5's tokenizers have it: of all ways to cut a text into known pieces, the likeliest.
import { ReimagenError } from "../errors.ts";
import { type Charsmap, readCharsmap } from "./charsmap.ts";
import {
  idOf,
  isObject,
  isSame,
  type Json,
  readEndToken,
  readSpecialTokens,
  requireValue,
  unsupported,
} from "./tokenizer-json.ts";
import { type Frame, fitPieces, greatest, type Piece, type Tokenizer } from "./tokens.ts";

/** What a unigram tokenizer is made of. */
export interface Unigram {
  /** Ids and log probabilities of the pieces that a text can be cut into. */
  readonly pieces: ReadonlyMap<string, { readonly id: number; readonly score: number }>;
  readonly unknownId: number;
  readonly frame: Frame;
  readonly vocabularySize: number;
  /** Replacements before anything else. */
  readonly charsmap?: Charsmap | undefined;
}

/** Stands for a space in pieces. */
const SPACE = "\u2581";

/**
 * A tokenizer.json of T5's kind: Precompiled normalizer, words that begin with U+2581, Unigram, a template that appends one end token; padding is `padding`
 * or else `<pad>`. Replacements are SentencePiece's, the longest first wherever they begin; Hugging Face's tokenizers look at letters with their accents as wholes,
 * which for rare sequences gives other pieces. Errors: config, naming any other component.
 */
export function readUnigram(name: string, file: Json, padding = "<pad>"): Tokenizer {
  const model = isObject(file.model) ? file.model : {};
  const { type: _, vocab, unk_id: unknownId, byte_fallback: fallback = false, ...rest } = model;
  requireValue(name, "model's byte_fallback", fallback, false);
  requireValue(name, "model", rest, {});
  const fits = (entry: unknown): entry is [string, number] =>
    Array.isArray(entry) && typeof entry[0] === "string" && Number.isFinite(entry[1]);
  if (!Array.isArray(vocab) || !vocab.every(fits) || !vocab[unknownId as number])
    throw new ReimagenError(
      "config",
      `${name}: the model's vocab is not a list of pieces and scores with its unk_id ${JSON.stringify(unknownId)}`,
    );
  checkWords(name, file.pre_tokenizer);
  const special = readSpecialTokens(name, file.added_tokens);
  const ids = new Map([...vocab.map(([piece], id) => [piece, id] as const), ...special]);
  const pieces = vocab.map(([piece, score], id) => [piece, { id, score }] as const);
  return unigramTokenizer({
    pieces: new Map(pieces.filter(([piece, { id }]) => !special.has(piece) && id !== unknownId)),
    unknownId: unknownId as number,
    frame: {
      end: idOf(name, ids, "end token", readEndToken(name, file.post_processor)),
      padding: idOf(name, ids, "pad token", padding),
    },
    vocabularySize: greatest(ids.values()) + 1,
    charsmap: readNormalizer(name, file.normalizer),
  });
}

// What SentencePiece does about space, and so `unigramTokenizer`, has been written in several ways.
const spaceRules = [
  { type: "Strip", strip_left: false, strip_right: true },
  { type: "Replace", pattern: { Regex: " {2,}" }, content: SPACE },
  { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
];

function readNormalizer(name: string, normalizer: unknown): Charsmap | undefined {
  const all = isObject(normalizer) && normalizer.type === "Sequence" ? normalizer.normalizers : [normalizer ?? []];
  let charsmap: Charsmap | undefined;
  for (const step of Array.isArray(all) ? all.flat() : [all]) {
    if (isObject(step) && step.type === "Precompiled" && typeof step.precompiled_charsmap === "string" && !charsmap) {
      charsmap = readCharsmap(name, base64(name, step.precompiled_charsmap));
    } else if (!spaceRules.some((rule) => isSame(step, rule))) throw unsupported(name, "normalizer", step);
  }
  return charsmap;
}

function base64(name: string, text: string): Uint8Array {
  try {
    return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  } catch (cause) {
    throw new ReimagenError("config", `${name}: the precompiled_charsmap is not base64`, { cause });
  }
}

function checkWords(name: string, component: unknown): void {
  const all = isObject(component) && component.type === "Sequence" ? component.pretokenizers : [component];
  const steps = (Array.isArray(all) ? all : [all]).filter((step) => !isSame(step, { type: "WhitespaceSplit" }));
  const [words] = steps;
  const {
    str_rep: _,
    split: __ = true,
    add_prefix_space = true,
    prepend_scheme = "always",
    ...rest
  } = isObject(words) ? words : {};
  const isKnown =
    steps.length === 1 &&
    isSame(rest, { type: "Metaspace", replacement: SPACE }) &&
    add_prefix_space === true &&
    ["always", "first"].includes(prepend_scheme as string);
  if (!isKnown) throw unsupported(name, "pre_tokenizer", component);
}

/** A tokenizer of these pieces: replacements, runs of space as one U+2581 with one before the first word and none behind the last, and the likeliest pieces. */
export function unigramTokenizer(model: Unigram): Tokenizer {
  const longest = greatest([...model.pieces.keys()].map((piece) => piece.length));
  // As unlikely as anything known, and then some.
  const unknownScore = -greatest([...model.pieces.values()].map(({ score }) => -score)) - 10;
  return {
    vocabularySize: model.vocabularySize,
    tokenize(text, maxLength) {
      const { normal, origin } = normalize(text, model.charsmap);
      const pieces = segment(model, normal, longest, unknownScore);
      const placed = pieces.map((piece) => ({ ...piece, begin: origin[piece.begin]!, end: origin[piece.end]! }));
      return fitPieces(text, placed, model.frame, maxLength);
    },
  };
}

/** The text as pieces spell it; origin[i] is where normal[i] came from. */
function normalize(text: string, charsmap: Charsmap | undefined): { normal: string; origin: number[] } {
  const places: number[] = [];
  let offset = 0;
  for (const character of text) {
    for (const _ of encoder.encode(character)) places.push(offset);
    offset += character.length;
  }
  const bytes = encoder.encode(text);
  let normal = "";
  const origin: number[] = [];
  const append = (piece: string, at: number) => {
    for (const unit of piece.split("")) {
      // Space waits for what follows it.
      if (unit === " ") pending = true;
      else {
        if (pending) {
          normal += SPACE;
          origin.push(at);
        }
        pending = false;
        normal += unit;
        origin.push(at);
      }
    }
  };
  let pending = true;
  for (let i = 0; i < bytes.length; ) {
    const replaced = charsmap?.(bytes, i);
    const at = places[i]!;
    const character = String.fromCodePoint(text.codePointAt(at)!);
    append(replaced?.text ?? character, at);
    i += replaced?.length ?? encoder.encode(character).length;
  }
  origin.push(text.length);
  return { normal, origin };
}

const encoder = new TextEncoder();

/** Viterbi's best path over all pieces; a character that no piece covers is unknown, and neighbouring unknowns are one piece. */
function segment({ pieces, unknownId }: Unigram, text: string, longest: number, unknownScore: number): Piece[] {
  const best: { score: number; begin: number; id: number }[] = [{ score: 0, begin: 0, id: unknownId }];
  const offer = (begin: number, end: number, id: number, score: number) => {
    if (score > (best[end]?.score ?? Number.NEGATIVE_INFINITY)) best[end] = { score, begin, id };
  };
  for (let begin = 0; begin < text.length; ) {
    const step = text.codePointAt(begin)! > 0xffff ? 2 : 1;
    const { score } = best[begin]!;
    let known = false;
    for (let end = begin + step; end <= Math.min(begin + longest, text.length); end++) {
      const piece = pieces.get(text.slice(begin, end));
      if (!piece) continue;
      known ||= end === begin + step;
      offer(begin, end, piece.id, score + piece.score);
    }
    if (!known) offer(begin, begin + step, unknownId, score + unknownScore);
    begin += step;
  }
  const path: Piece[] = [];
  for (let end = text.length; end > 0; end = best[end]!.begin) {
    const { begin, id } = best[end]!;
    const known = id !== unknownId;
    const next = path.at(-1);
    if (!known && next && !next.known) path[path.length - 1] = { ...next, begin };
    else path.push({ id, begin, end, known });
  }
  return path.reverse();
}
