// SentencePiece's table of replacements that normalise a text, such as nmt_nfkc's: Unicode's NFKC with some rules of its own about space and control characters.
import { ReimagenError } from "../errors.ts";

/** The longest replacement that applies to the UTF-8 bytes from `at` on: how many bytes it replaces, and by what. */
export type Charsmap = (
  bytes: Uint8Array,
  at: number,
) => { readonly length: number; readonly text: string } | undefined;

/**
 * Reads a `precompiled_charsmap`: the byte length of a double-array trie (Aoe, 1989, in the layout of the library darts-clone), its units, and the
 * replacements, each with a zero byte at its end. Errors: config.
 */
export function readCharsmap(name: string, table: Uint8Array): Charsmap {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const trieBytes = table.length >= 4 ? view.getUint32(0, true) : 0;
  if (trieBytes === 0 || trieBytes % 4 !== 0 || 4 + trieBytes > table.length)
    throw new ReimagenError("config", `${name}: the precompiled_charsmap is damaged`);
  const units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
  const replacements = table.subarray(4 + trieBytes);
  const decoder = new TextDecoder();

  return (bytes, at) => {
    let unit = units[0]!;
    let node = childrenOf(unit);
    let longest: { length: number; text: string } | undefined;
    for (let i = at; i < bytes.length; i++) {
      node ^= bytes[i]!;
      unit = units[node] ?? 0;
      if (labelOf(unit) !== bytes[i]) break;
      node ^= childrenOf(unit);
      if (!endsHere(unit)) continue;
      const begin = indexIn(units[node] ?? 0);
      const end = replacements.indexOf(0, begin);
      longest = { length: i + 1 - at, text: decoder.decode(replacements.subarray(begin, end)) };
    }
    return longest;
  };
}

// The fields of a unit: bit 31 marks a value, bit 8 that a key ends here, bit 9 that the offset in bits 10 and up counts in 256s; the byte that leads here is the lowest.
const labelOf = (unit: number) => (unit & 0x800000ff) >>> 0;
const endsHere = (unit: number) => (unit & 0x100) !== 0;
const childrenOf = (unit: number) => (unit >>> 10) << ((unit & 0x200) >>> 6);
const indexIn = (unit: number) => unit & 0x7fffffff;
