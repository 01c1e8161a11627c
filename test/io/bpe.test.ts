// CLIP's byte-pair tokenizer on a vocabulary small enough to follow by hand.
import { describe, expect, it } from "vitest";
import { readClipVocabulary } from "../../src/io/bpe.ts";
import type { Folder } from "../../src/io/folder.ts";
import { bytesSource } from "../../src/io/source.ts";
import { openTokenizer, readTokenizer, type Tokenizer } from "../../src/io/tokenizer.ts";

// Sennrich et al., 2016: what "low", "lower", "newest", "widest" teach; then bytes of an accented letter and of an emoji as GPT-2 spells them.
const merges = ["e s", "es t</w>", "l o", "lo w", "e r</w>", "n e", "ne w", "o w</w>", "w i", "i d", "Ã ©</w>", "ð Ł"];
const letters = [..."abcdefghijklmnopqrstuvwxyz0123456789!,.'?<|>", ..."Ã©ðŁ¦¥"];
const tokens = [
  ...letters,
  ...letters.map((letter) => `${letter}</w>`),
  ...merges.map((merge) => merge.replace(" ", "")),
  "<|startoftext|>",
  "<|endoftext|>",
];
const vocabulary = Object.fromEntries(tokens.map((token, id) => [token, id]));

const word = "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
const special = (content: string) => ({ id: vocabulary[content], content, special: true, normalized: false });
const file = () => ({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [special("<|startoftext|>"), special("<|endoftext|>")] as object[],
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "NFC" },
      { type: "Replace", pattern: { Regex: "\\s+" }, content: " " },
      { type: "Lowercase" },
    ],
  } as object,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: word }, behavior: "Removed", invert: true },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: true },
    ] as object[],
  },
  post_processor: {
    type: "RobertaProcessing",
    sep: ["<|endoftext|>", vocabulary["<|endoftext|>"]],
    cls: ["<|startoftext|>", vocabulary["<|startoftext|>"]],
    trim_offsets: false,
    add_prefix_space: false,
  } as object,
  model: {
    type: "BPE",
    dropout: null as number | null,
    unk_token: "<|endoftext|>",
    continuing_subword_prefix: "",
    end_of_word_suffix: "</w>",
    fuse_unk: false,
    vocab: vocabulary,
    merges: [...merges] as unknown[],
  },
});

const mergesText = `#version: 0.2\n${merges.join("\n")}\n`;
const kinds: [string, () => Tokenizer][] = [
  ["tokenizer.json", () => readTokenizer("tokenizer.json", JSON.stringify(file()))],
  ["vocab.json and merges.txt", () => readClipVocabulary("tokenizer", JSON.stringify(vocabulary), mergesText)],
];

describe.each(kinds)("CLIP's tokenizer of %s", (_, open) => {
  const tokenizer = open();
  const spell = (text: string, maxLength = 40) => {
    const { ids, length } = tokenizer.tokenize(text, maxLength);
    return [...ids.subarray(1, length - 1)].map((id) => tokens[id]!);
  };

  it("joins pairs in the order in which they were learned, the end of a word marked", () => {
    expect(spell("lowest")).toEqual(["low", "est</w>"]);
    // "lo w" was learned before "o w</w>", but only the last letter carries the mark.
    expect(spell("low")).toEqual(["lo", "w</w>"]);
    expect(spell("newer")).toEqual(["new", "er</w>"]);
    // "w i" first leaves nothing for "i d".
    expect(spell("widest")).toEqual(["wi", "d", "est</w>"]);
    expect(spell("eses")).toEqual(["es", "e", "s</w>"]);
  });

  it("frames a text and fills up with the end token", () => {
    const { ids, length } = tokenizer.tokenize("", 4);
    const [begin, end] = [vocabulary["<|startoftext|>"], vocabulary["<|endoftext|>"]];
    expect([...ids]).toEqual([begin, end, end, end]);
    expect(length).toBe(2);
    expect(tokenizer.vocabularySize).toBe(tokens.length);
  });

  it("splits words, contractions, single digits and runs of signs, and loses case and space", () => {
    const split = (text: string) => spell(text).join("").split("</w>").slice(0, -1);
    expect(split("It's 42, they'LL\n\t win?!")).toEqual(["it", "'s", "4", "2", ",", "they", "'ll", "win", "?!"]);
    expect(split("a\u0085b\u00a0c")).toEqual(["a", "b", "c"]);
  });

  it("spells what it never saw by bytes, composed as Unicode has it", () => {
    expect(spell("é")).toEqual(["Ã©</w>"]);
    expect(spell("e\u0301")).toEqual(["Ã©</w>"]);
    expect(spell("🦥")).toEqual(["ðŁ", "¦", "¥</w>"]);
    expect(tokenizer.tokenize("é 🦥", 9).unknown).toEqual([]);
  });

  it("says what did not fit and which words it lost", () => {
    expect(tokenizer.tokenize("A new SLOW lowest, end", 8).cut).toBe("lowest, end");
    expect(tokenizer.tokenize("lowest", 3).cut).toBe("est");
    expect(tokenizer.tokenize("a ж", 9).unknown).toEqual(["ж"]);
    expect(() => tokenizer.tokenize("a", 1)).toThrow("at least 2 tokens are needed for the begin and the end");
  });

  it("takes a prompt that spells a special token as text", () => {
    expect(spell("<|endoftext|>").join("").replaceAll("</w>", "")).toBe("<|endoftext|>");
    expect(spell("<|endoftext|>")).not.toContain("<|endoftext|>");
  });
});

describe("another tokenizer", () => {
  type File = ReturnType<typeof file>;
  it.each<[string, (json: File) => unknown, string]>([
    ["without a normalizer", (json) => Object.assign(json, { normalizer: null }), "the normalizer null"],
    ["that keeps case", (json) => Object.assign(json, { normalizer: { type: "NFC" } }), 'normalizer {"type":"NFC"}'],
    ["of GPT-2's words", (json) => json.pre_tokenizer.pretokenizers.shift(), "pre_tokenizer"],
    ["with another template", (json) => Object.assign(json.post_processor, { cls: ["[CLS]", 0] }), "post_processor"],
    ["with dropout", (json) => Object.assign(json.model, { dropout: 0.1 }), "model's dropout 0.1"],
    ["with byte fallback", (json) => Object.assign(json.model, { byte_fallback: true }), "byte_fallback"],
    ["without marks of words' ends", (json) => Object.assign(json.model, { end_of_word_suffix: "" }), "end_of_word"],
    ["with an unknown option", (json) => Object.assign(json.model, { magic: 1 }), "model's magic 1"],
    ["with merges of three", (json) => json.model.merges.push("a b c"), 'merge 13 should be two tokens, got "a b c"'],
    ["with added words", (json) => json.added_tokens.push({ id: 99, content: "<sloth>", special: false }), "added_to"],
  ])("%s is refused by name", (_, change, message) => {
    const json = file();
    change(json);
    expect(() => readTokenizer("other.json", JSON.stringify(json))).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });

  it("with merges as pairs reads the same", () => {
    const json = file();
    json.model.merges = merges.map((merge) => merge.split(" "));
    const tokenizer = readTokenizer("tokenizer.json", JSON.stringify(json));
    expect(tokenizer.tokenize("lowest", 9)).toEqual(kinds[0]![1]().tokenize("lowest", 9));
  });
});

describe("a pipeline's tokenizer folder", () => {
  const folder = (files: Record<string, string>): Folder => ({
    name: "tokenizer",
    async open(path) {
      const text = files[path];
      return text === undefined ? undefined : bytesSource(`tokenizer/${path}`, new TextEncoder().encode(text));
    },
  });
  const parts = { "vocab.json": JSON.stringify(vocabulary), "merges.txt": mergesText };

  it("names the token that fills up", async () => {
    const last = async (files: Record<string, string>) =>
      tokens[(await openTokenizer(folder({ ...parts, ...files }))).tokenize("a", 9).ids.at(-1)!];
    expect(await last({})).toBe("<|endoftext|>");
    expect(await last({ "tokenizer_config.json": '{"pad_token": "!"}' })).toBe("!");
    expect(await last({ "special_tokens_map.json": '{"pad_token": {"content": "!"}}' })).toBe("!");
    expect(await last({ "tokenizer.json": JSON.stringify(file()), "tokenizer_config.json": '{"pad_token":"!"}' })).toBe(
      "!",
    );
    await expect(last({ "tokenizer_config.json": '{"pad_token": "[PAD]"}' })).rejects.toThrow(
      'the pad token "[PAD]" is not in its vocab',
    );
  });

  it("without a tokenizer, or with half of one, is refused", async () => {
    await expect(openTokenizer(folder({}))).rejects.toMatchObject({
      code: "checkpoint",
      message: expect.stringContaining("neither tokenizer.json, nor vocab.json with merges.txt, nor spiece.model"),
    });
    await expect(openTokenizer(folder({ "vocab.json": "{}" }))).rejects.toThrow("tokenizer has no file merges.txt");
  });
});
