// Reads the SentencePiece model files (`spiece.model`) that T5's checkpoints bring: a protocol buffer, of which a few fields matter.
import { ReimagenError } from "../errors.ts";
import { readCharsmap } from "./charsmap.ts";
import type { Tokenizer } from "./tokens.ts";
import { unigramTokenizer } from "./unigram.ts";

/** Fields of a message by number: numbers, or the bytes of strings and messages, in the order in which they came. */
type Message = ReadonlyMap<number, readonly (number | Uint8Array)[]>;

const kinds = { normal: 1, userDefined: 4 };

/**
 * A tokenizer of the unigram kind from a SentencePiece model, normalised by the model's own table. Errors: config, naming what is damaged or not supported
 * (another kind of model, other rules about space, byte fallback).
 */
export function readSentencePiece(name: string, bytes: Uint8Array): Tokenizer {
  const model = parseMessage(name, bytes);
  const trainer = parseMessage(name, bytesOf(model, 2));
  const rules = parseMessage(name, bytesOf(model, 3));
  const settings = [
    { what: "model_type", value: numberOf(trainer, 3, 1), expected: 1 },
    { what: "treat_whitespace_as_suffix", value: numberOf(trainer, 24, 0), expected: 0 },
    { what: "byte_fallback", value: numberOf(trainer, 35, 0), expected: 0 },
    { what: "add_dummy_prefix", value: numberOf(rules, 3, 1), expected: 1 },
    { what: "remove_extra_whitespaces", value: numberOf(rules, 4, 1), expected: 1 },
    { what: "escape_whitespaces", value: numberOf(rules, 5, 1), expected: 1 },
  ];
  for (const { what, value, expected } of settings)
    if (value !== expected) throw invalid(name, `${what} must be ${expected} to be supported, got ${value}`);

  const entries = (model.get(1) ?? []).map((entry, id) => {
    const piece = parseMessage(name, entry);
    const kind = numberOf(piece, 3, kinds.normal);
    return { id, kind, text: new TextDecoder().decode(bytesOf(piece, 1)), score: floatOf(piece, 2) };
  });
  if (entries.length === 0) throw invalid(name, "it has no pieces");
  const id = (what: string, field: number, otherwise: number) => {
    const value = numberOf(trainer, field, otherwise);
    if (!entries[value]) throw invalid(name, `its ${what} has no place among its ${entries.length} pieces`);
    return value;
  };
  const charsmap = bytesOf(rules, 2);
  const usable = entries.filter(({ kind }) => kind === kinds.normal || kind === kinds.userDefined);
  return unigramTokenizer({
    pieces: new Map(usable.map(({ text, id, score }) => [text, { id, score }])),
    unknownId: id("unk_id", 40, 0),
    frame: { end: id("eos_id", 42, 2), padding: id("pad_id", 43, -1) },
    vocabularySize: entries.length,
    charsmap: charsmap.length ? readCharsmap(name, charsmap) : undefined,
  });
}

function invalid(name: string, why: string): ReimagenError {
  return new ReimagenError("config", `${name} is not a SentencePiece model that can be read: ${why}`);
}

/** Protocol buffers' wire format: varints, 64 bits, lengths with bytes, 32 bits. */
function parseMessage(name: string, bytes: number | Uint8Array): Message {
  if (typeof bytes === "number") throw invalid(name, "a message was expected where a number is");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const fields = new Map<number, (number | Uint8Array)[]>();
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let shift = 1; ; shift *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 2 ** 63) throw invalid(name, "it is damaged");
      value += (byte & 127) * shift;
      if (byte < 128) return value;
    }
  };
  const take = (length: number) => {
    at += length;
    if (at > bytes.length) throw invalid(name, "it ends in the middle");
    return at - length;
  };
  while (at < bytes.length) {
    const tag = varint();
    const [field, wire] = [Math.floor(tag / 8), tag % 8];
    let value: number | Uint8Array;
    if (wire === 0) value = signed(varint());
    else if (wire === 1) value = view.getFloat64(take(8), true);
    else if (wire === 5) value = view.getFloat32(take(4), true);
    else if (wire === 2) {
      const length = varint();
      const from = take(length);
      value = bytes.subarray(from, from + length);
    } else throw invalid(name, "it is damaged");
    fields.set(field, [...(fields.get(field) ?? []), value]);
  }
  return fields;
}

// Negative numbers, such as an id of -1 for none, are ten bytes of two's complement.
const signed = (value: number) => (value >= 2 ** 63 ? -1 : value);

function bytesOf(message: Message, field: number): Uint8Array {
  const value = message.get(field)?.at(-1);
  return value instanceof Uint8Array ? value : new Uint8Array();
}

function numberOf(message: Message, field: number, otherwise: number): number {
  const value = message.get(field)?.at(-1);
  return typeof value === "number" ? value : otherwise;
}

function floatOf(message: Message, field: number): number {
  return numberOf(message, field, 0);
}
