// Writes SentencePiece models and their tables of replacements, for tests of what reads them.

/** A model's pieces in order of their ids (kinds: 1 normal, 2 unknown, 3 control, 4 user-defined), and settings that differ from T5's. */
export interface Model {
  readonly pieces: readonly { readonly text: string; readonly score: number; readonly kind?: number }[];
  readonly charsmap?: Uint8Array;
  /** Numbers of the trainer's and the normaliser's fields, by field. */
  readonly trainer?: Readonly<Record<number, number>>;
  readonly rules?: Readonly<Record<number, number>>;
}

/** The model as a file: pad 0, end 1, unknown 2, as T5 has them. */
export function writeModel({ pieces, charsmap, trainer = {}, rules = {} }: Model): Uint8Array {
  const ids = { 40: 2, 42: 1, 43: 0, ...trainer };
  const settings = (fields: Readonly<Record<number, number>>) =>
    Object.entries(fields).flatMap(([field, value]) => number(Number(field), value));
  return Uint8Array.from([
    ...pieces.flatMap(({ text, score, kind = 1 }) =>
      bytes(1, [...bytes(1, [...new TextEncoder().encode(text)]), ...float(2, score), ...number(3, kind)]),
    ),
    ...bytes(2, settings(ids)),
    ...bytes(3, [
      ...bytes(1, [...new TextEncoder().encode("test")]),
      ...bytes(2, [...(charsmap ?? [])]),
      ...settings(rules),
    ]),
  ]);
}

function varint(value: number): number[] {
  // Negative numbers are 64 bits of two's complement.
  if (value < 0) return [...Array.from({ length: 9 }, (_, i) => (i ? 0xff : 0x80 | (value & 0x7f))), 1];
  const low = value % 128;
  return value < 128 ? [low] : [low | 0x80, ...varint(Math.floor(value / 128))];
}

const number = (field: number, value: number) => [...varint(field * 8), ...varint(value)];
const bytes = (field: number, content: readonly number[]) => [
  ...varint(field * 8 + 2),
  ...varint(content.length),
  ...content,
];
const float = (field: number, value: number) => [
  ...varint(field * 8 + 5),
  ...new Uint8Array(Float32Array.of(value).buffer),
];

/** A table of replacements: a double-array trie over the UTF-8 bytes of `from`, and the texts they become. */
export function writeCharsmap(replacements: Readonly<Record<string, string>>): Uint8Array {
  const encoder = new TextEncoder();
  const texts: number[] = [];
  const entries = Object.entries(replacements).map(([from, to]) => {
    const at = texts.length;
    texts.push(...encoder.encode(to), 0);
    return { key: [...encoder.encode(from)], at };
  });
  const units: number[] = [0];
  const place = (
    node: number,
    label: number,
    all: readonly { key: readonly number[]; at: number }[],
    depth: number,
  ) => {
    const ends = all.find(({ key }) => key.length === depth);
    const labels = [...new Set(all.filter(({ key }) => key.length > depth).map(({ key }) => key[depth]!))];
    const children = ends ? [0, ...labels] : labels;
    let base = 1;
    while (children.some((child) => units[base ^ child] !== undefined)) base++;
    for (const child of children) units[base ^ child] = 0;
    units[node] = (((node ^ base) << 10) | (ends ? 0x100 : 0) | label) >>> 0;
    if (ends) units[base] = (0x80000000 | ends.at) >>> 0;
    for (const child of labels)
      place(
        base ^ child,
        child,
        all.filter(({ key }) => key[depth] === child),
        depth + 1,
      );
  };
  place(0, 0, entries, 0);
  const trie = Uint32Array.from({ length: units.length }, (_, i) => units[i] ?? 0);
  return Uint8Array.from([
    ...new Uint8Array(Uint32Array.of(trie.byteLength).buffer),
    ...new Uint8Array(trie.buffer),
    ...texts,
  ]);
}
