// T5's unigram tokenizer, from tokenizer.json and from SentencePiece files, on vocabularies small enough to try all ways of cutting a text.
import { describe, expect, it } from "vitest";
import { readSentencePiece } from "../../src/io/sentencepiece.ts";
import { bytesSource } from "../../src/io/source.ts";
import { openTokenizer, readTokenizer, type Tokenizer } from "../../src/io/tokenizer.ts";
import { Random } from "../ops/harness.ts";
import { type Model, writeCharsmap, writeModel } from "./spiece.ts";

const special = [
  { text: "<pad>", score: 0, kind: 3 },
  { text: "</s>", score: 0, kind: 3 },
  { text: "<unk>", score: 0, kind: 2 },
];
const words = [
  { text: "▁", score: -2 },
  { text: "▁a", score: -2.5 },
  { text: "▁the", score: -3 },
  { text: "▁slot", score: -4 },
  { text: "▁sloth", score: -7 },
  { text: "▁s", score: -3.5 },
  { text: "s", score: -2.5 },
  { text: "h", score: -4.5 },
  { text: "lo", score: -3.25 },
  { text: "th", score: -2 },
  { text: "½", score: -9 },
  { text: "1/2", score: -6 },
  { text: "fi", score: -5 },
  { text: "🦥", score: -8 },
];
const pieces = [...special, ...words];
const charsmap = writeCharsmap({ "½": "1/2", ﬁ: "fi", "\t": " ", "\u3000": " ", "\u200b": "", ﬁn: "sth" });

const file = () => ({
  truncation: null,
  padding: null,
  added_tokens: special.map(({ text }, id) => ({ id, content: text, special: true })) as object[],
  normalizer: { type: "Precompiled", precompiled_charsmap: btoa(String.fromCharCode(...charsmap)) } as object | null,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "WhitespaceSplit" },
      { type: "Metaspace", replacement: "▁", prepend_scheme: "always", split: true },
    ],
  } as object,
  post_processor: {
    type: "TemplateProcessing",
    single: [{ Sequence: { id: "A", type_id: 0 } }, { SpecialToken: { id: "</s>", type_id: 0 } }],
  } as object,
  model: {
    type: "Unigram",
    unk_id: 2 as number | null,
    vocab: pieces.map(({ text, score }) => [text, score]) as unknown[],
    byte_fallback: false,
  },
});

const kinds: [string, () => Tokenizer][] = [
  ["tokenizer.json", () => readTokenizer("tokenizer.json", JSON.stringify(file()))],
  ["spiece.model", () => readSentencePiece("spiece.model", writeModel({ pieces, charsmap }))],
];

describe.each(kinds)("T5's tokenizer of %s", (_, open) => {
  const tokenizer = open();
  const spell = (text: string) => {
    const { ids, length } = tokenizer.tokenize(text, 60);
    return [...ids.subarray(0, length - 1)].map((id) => pieces[id]!.text);
  };

  it("cuts a text into the likeliest pieces, not the longest", () => {
    // -4 - 4.5 for slot + h, -3.5 - 3.25 - 2 for s + lo + th, -7 for the whole word.
    expect(spell("sloth")).toEqual(["▁sloth"]);
    expect(spell("slot")).toEqual(["▁slot"]);
    expect(spell("the sloths")).toEqual(["▁the", "▁sloth", "s"]);
    expect(spell("loth")).toEqual(["▁", "lo", "th"]);
  });

  it("takes runs of space as one and drops them at both ends", () => {
    expect(spell("  the \t\u3000 sloth ")).toEqual(["▁the", "▁sloth"]);
    expect(spell("")).toEqual([]);
    expect(spell(" \t ")).toEqual([]);
  });

  it("replaces by its table, the longest match first", () => {
    expect(spell("½")).toEqual(["▁", "1/2"]);
    expect(spell("ﬁ")).toEqual(["▁", "fi"]);
    expect(spell("ﬁn")).toEqual(["▁s", "th"]);
    expect(spell("s\u200bloth")).toEqual(["▁sloth"]);
  });

  it("gives neighbouring characters that it does not know one unknown token, and says so", () => {
    expect(spell("жж the ж🦥")).toEqual(["▁", "<unk>", "▁the", "▁", "<unk>", "🦥"]);
    expect(tokenizer.tokenize("the жuж 🦥 ½ 🦄", 30).unknown).toEqual(["жuж", "🦄"]);
  });

  it("frames a text, fills up, and says what did not fit in the words of the prompt", () => {
    expect([...tokenizer.tokenize("a", 4).ids]).toEqual([4, 1, 0, 0]);
    expect(tokenizer.tokenize("a", 4).length).toBe(2);
    expect(tokenizer.tokenize("the  ½ \t sloth ", 4).cut).toBe("sloth");
    expect(tokenizer.tokenize("the ½", 4).cut).toBeUndefined();
    expect(tokenizer.tokenize("the ½", 3).cut).toBe("½");
    expect(() => tokenizer.tokenize("a", 0)).toThrow("at least 1 token is needed for the end");
  });

  it("takes a prompt that spells a special token as text", () => {
    expect([...tokenizer.tokenize("</s>", 9).ids.subarray(0, 2)]).toEqual([3, 2]);
  });

  it("finds what trying all ways finds", () => {
    const random = new Random(5);
    for (let run = 0; run < 200; run++) {
      const text = Array.from({ length: random.int(1, 9) }, () =>
        random.pick(["s", "l", "o", "th", "h", "a", " "]),
      ).join("");
      const normal = text.trim() ? `▁${text.trim().replace(/ +/g, "▁")}` : "";
      const scoreOf = (spelled: readonly string[]) =>
        spelled.reduce((sum, piece) => sum + (words.find((word) => word.text === piece)?.score ?? -19), 0);
      expect(scoreOf(exploded(spell(text), normal)), text).toBeCloseTo(bestScore(normal), 9);
    }
  });
});

/** The pieces with each unknown one as its single characters, as a path through the text has them. */
function exploded(spelled: readonly string[], normal: string): string[] {
  const rest: string[] = [];
  let at = 0;
  spelled.forEach((piece, i) => {
    if (piece !== "<unk>") {
      rest.push(piece);
      at += piece.length;
      return;
    }
    const tail = spelled.slice(i + 1).reduce((sum, later) => sum + (later === "<unk>" ? 0 : later.length), 0);
    const next = spelled[i + 1];
    const end = next === undefined ? normal.length - tail : normal.indexOf(next, at + 1);
    for (; at < end; at++) rest.push("<unk>");
  });
  return rest;
}

/** The best score of all ways to cut a text; a character without a piece of its own costs 10 more than the worst piece. */
function bestScore(text: string): number {
  if (text === "") return 0;
  const own = words.some((word) => word.text === text[0]);
  const ways = words
    .filter((word) => text.startsWith(word.text))
    .map((word) => word.score + bestScore(text.slice(word.text.length)));
  if (!own) ways.push(-19 + bestScore(text.slice(1)));
  return Math.max(...ways);
}

describe("other files", () => {
  type File = ReturnType<typeof file>;
  const read = (change: (json: File) => unknown) => {
    const json = file();
    change(json);
    return () => readTokenizer("other.json", JSON.stringify(json));
  };

  it.each<[string, (json: File) => unknown, string]>([
    ["with another normalizer", (json) => Object.assign(json, { normalizer: { type: "NFKC" } }), "the normalizer"],
    ["with a damaged table", (json) => Object.assign(json.normalizer!, { precompiled_charsmap: "AAAA" }), "is damaged"],
    ["with a table of noise", (json) => Object.assign(json.normalizer!, { precompiled_charsmap: "%" }), "not base64"],
    ["with other words", (json) => Object.assign(json, { pre_tokenizer: { type: "Whitespace" } }), "pre_tokenizer"],
    [
      "without a first space",
      (json) =>
        Object.assign(json, { pre_tokenizer: { type: "Metaspace", replacement: "▁", prepend_scheme: "never" } }),
      "never",
    ],
    ["with byte fallback", (json) => Object.assign(json.model, { byte_fallback: true }), "byte_fallback true"],
    ["without an unknown token", (json) => Object.assign(json.model, { unk_id: null }), "unk_id null"],
    ["with a broken vocab", (json) => json.model.vocab.push(["x"]), "not a list of pieces and scores"],
    [
      "without padding",
      (json) => [json.model.vocab, json.added_tokens].map((list) => list.shift()),
      '"<pad>" is not in',
    ],
    ["with added words", (json) => json.added_tokens.push({ id: 99, content: "<sloth>", special: false }), "<sloth>"],
  ])("a tokenizer.json %s is refused by name", (_, change, message) => {
    expect(read(change)).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });

  it("a tokenizer.json of newer make reads the same", () => {
    const newer = read((json) => {
      const replace = { type: "Replace", pattern: { Regex: " {2,}" }, content: "▁" };
      json.normalizer = {
        type: "Sequence",
        normalizers: [json.normalizer, { type: "Strip", strip_left: false, strip_right: true }, replace],
      };
      json.pre_tokenizer = { type: "Metaspace", replacement: "▁", prepend_scheme: "first", split: false };
    })();
    expect(newer.tokenize(" the  ½ sloth ", 12)).toEqual(kinds[0]![1]().tokenize(" the  ½ sloth ", 12));
  });

  const model = (changes: Partial<Model>) => writeModel({ pieces, charsmap, ...changes });
  it.each<[string, () => Uint8Array, string]>([
    ["of byte pairs", () => model({ trainer: { 3: 2 } }), "model_type must be 1 to be supported, got 2"],
    ["that keeps space", () => model({ rules: { 4: 0 } }), "remove_extra_whitespaces must be 1"],
    ["without a first space", () => model({ rules: { 3: 0 } }), "add_dummy_prefix must be 1"],
    ["with byte fallback", () => model({ trainer: { 35: 1 } }), "byte_fallback must be 0"],
    ["without padding", () => model({ trainer: { 43: -1 } }), "its pad_id has no place among its 17 pieces"],
    ["without pieces", () => model({ pieces: [] }), "it has no pieces"],
    ["cut short", () => model({}).slice(0, -5), "it ends in the middle"],
    ["of noise", () => Uint8Array.of(0xff, 0xff), "it is damaged"],
  ])("a SentencePiece model %s is refused", (_, bytes, message) => {
    expect(() => readSentencePiece("spiece.model", bytes())).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });

  it("pieces that are not used, and a model without a table, read too", () => {
    const rare = pieces.map((piece) => (piece.text === "▁sloth" ? { ...piece, kind: 5 } : piece));
    const tokenizer = readSentencePiece("spiece.model", writeModel({ pieces: rare }));
    const { ids, length } = tokenizer.tokenize("sloth", 9);
    expect([...ids.subarray(0, length)].map((id) => pieces[id]!.text)).toEqual(["▁slot", "h", "</s>"]);
  });

  it("a folder that holds only spiece.model opens", async () => {
    const tokenizer = await openTokenizer({
      name: "tokenizer",
      open: async (path) => (path === "spiece.model" ? bytesSource(path, model({})) : undefined),
    });
    expect(tokenizer.vocabularySize).toBe(17);
  });
});
