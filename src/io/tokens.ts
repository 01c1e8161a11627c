// What every tokenizer gives, and the last step that all share: fitting pieces of a text into a text encoder's row of ids.
import { ReimagenError } from "../errors.ts";

/** A prompt as a text encoder takes it, and what of it was lost on the way. */
export interface TokenizedText {
  /** [maxLength]: the begin token where there is one, the tokens, the end token, then padding. */
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
  /** Encodes a text, keeping as many tokens as fit in maxLength beside those that frame it. Errors: argument (no room for the frame). */
  tokenize(text: string, maxLength: number): TokenizedText;
}

/** The greatest of numbers that may be too many for arguments. */
export function greatest(values: Iterable<number>): number {
  let most = Number.NEGATIVE_INFINITY;
  for (const value of values) most = Math.max(most, value);
  return most;
}

/** A piece of a text. */
export interface Piece {
  readonly id: number;
  /** Where it begins and ends in the text, in UTF-16 units. */
  readonly begin: number;
  readonly end: number;
  /** Whether the vocabulary has it: false for what became the unknown token. */
  readonly known: boolean;
}

/** Ids that frame and pad a text. */
export interface Frame {
  readonly begin?: number | undefined;
  readonly end: number;
  readonly padding: number;
}

/** The pieces of a text, in order, as a row of `maxLength` ids. Errors: argument. */
export function fitPieces(
  text: string,
  pieces: readonly Piece[],
  { begin, end, padding }: Frame,
  maxLength: number,
): TokenizedText {
  const first = begin === undefined ? [] : [begin];
  const room = maxLength - first.length - 1;
  if (!Number.isInteger(maxLength) || room < 0) {
    const least = first.length ? "2 tokens are needed for the begin and the end" : "1 token is needed for the end";
    throw new ReimagenError("argument", `at least ${least} of a text, and ${maxLength} came`);
  }
  const kept = pieces.slice(0, room);
  const ids = new Int32Array(maxLength).fill(padding);
  ids.set([...first, ...kept.map(({ id }) => id), end]);
  const firstCut = pieces.at(room);
  const cut = firstCut && text.slice(firstCut.begin).trim();
  const covered = new Uint8Array(text.length);
  for (const piece of pieces) if (piece.known) covered.fill(1, piece.begin, piece.end);
  return { ids, length: first.length + kept.length + 1, cut, unknown: lostWords(text, covered) };
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

/** Lower-cases each character by itself. That can lengthen a text: origin[i] is where lower[i] came from, so that messages quote the text as it was written. */
export function lowerCase(text: string): { lower: string; origin: number[] } {
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
