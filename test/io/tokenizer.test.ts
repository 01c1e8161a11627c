// The shipped tokenizer against the ids that the model was checked with, and what it says about text it cannot take.
import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { readTokenizer, type Tokenizer } from "../../src/io/tokenizer.ts";
import { openFileSource } from "../../src/node/file-source.ts";

const path = new URL("../../weights/emoji-64/tokenizer.json", import.meta.url).pathname;
const golden = new URL("../fixtures/emoji-64.golden.safetensors", import.meta.url).pathname;
let json: string;
let vocabulary: Record<string, number>;
let tokenizer: Tokenizer;

beforeAll(async () => {
  json = await readFile(path, "utf8");
  vocabulary = JSON.parse(json).model.vocab;
  tokenizer = readTokenizer("tokenizer.json", json);
});

function tokens(text: string, maxLength = 32): string[] {
  const names = new Map(Object.entries(vocabulary).map(([token, id]) => [id, token]));
  const { ids, length } = tokenizer.tokenize(text, maxLength);
  return [...ids.subarray(0, length)].map((id) => names.get(id)!);
}

describe("the shipped tokenizer", () => {
  it("gives the ids of the golden prompt and captions", async () => {
    const file = await openFileSource(golden);
    const fixture = await openSafetensors(file);
    const read = async (name: string) => new Int32Array((await fixture.read(name)).slice().buffer);
    const prompt = tokenizer.tokenize("a sloth on the beach", 32);
    expect(prompt.ids).toEqual(await read("in.ids"));
    expect(prompt).toMatchObject({ length: 6, cut: undefined, unknown: [] });
    const captions = await read("in.neighbor_ids");
    expect(tokenizer.tokenize("sloth emoji", 14).ids).toEqual(captions.slice(0, 14));
    expect(tokenizer.vocabularySize).toBe(3347);
    await file.close();
  });

  it("lower-cases, drops punctuation, and spells words it has not", () => {
    expect(tokens("A  SLOTH -- (on the beach)!")).toEqual(["a", "sloth", "on", "the", "beach", "[EOS]"]);
    expect(tokenizer.tokenize("A sloth, on: the beach.", 32).unknown).toEqual([]);
    expect(tokens("zqx")).toEqual(["z", "##q", "##x", "[EOS]"]);
    expect(tokens("slothq")).toEqual(["sloth", "##q", "[EOS]"]);
    expect(tokens("")).toEqual(["[EOS]"]);
    expect(tokens("[EOS] a").at(-2)).toBe("a");
  });

  it("says what did not fit, in the words of the prompt", () => {
    const { ids, length, cut } = tokenizer.tokenize("A Sloth on the Beach, at Sunset!", 5);
    expect([...ids]).toEqual([...["a", "sloth", "on", "the", "[EOS]"].map((token) => vocabulary[token])]);
    expect(length).toBe(5);
    expect(cut).toBe("Beach, at Sunset!");
    expect(tokenizer.tokenize("a zqx", 4).cut).toBe("x");
    expect(tokenizer.tokenize("\u0130\u0130 a sloth", 4).cut).toBe("sloth");
    expect(tokenizer.tokenize("a sloth", 3).cut).toBeUndefined();
    expect(tokenizer.tokenize("a", 1)).toMatchObject({ length: 1, cut: "a" });
  });

  it("says which words it could not take", () => {
    const unknown = (text: string) => tokenizer.tokenize(text, 32).unknown;
    expect(unknown("a 🦥 on the beach 🏖️")).toEqual(["🦥", "🏖️"]);
    expect(unknown("ein Bär im café, ein Bär")).toEqual(["Bär", "café"]);
    expect(unknown("ленивец на пляже")).toEqual(["ленивец", "на", "пляже"]);
    expect(unknown(`a ${"z".repeat(65)}`)).toEqual(["z".repeat(65)]);
    expect(tokens(`a ${"z".repeat(65)}`)).toEqual(["a", "[UNK]", "[EOS]"]);
    expect(unknown("👩🏽‍🚀 & 🇫🇷 ^_^ `a`\u200b ©")).toEqual(["👩🏽‍🚀", "🇫🇷", "©"]);
    expect(unknown("50% off -- “really”, isn’t it?")).toEqual([]);
  });

  it("needs room for the end token", () => {
    expect(() => tokenizer.tokenize("a", 0)).toThrow(expect.objectContaining({ code: "argument" }));
  });
});

interface TokenizerFile {
  pre_tokenizer: { behavior: string; pattern: { Regex: string } };
  model: { unk_token: string; vocab: Record<string, number> };
  post_processor: { single: unknown[] };
  added_tokens: { special: boolean }[];
}

describe("another tokenizer", () => {
  const changed = (change: (file: TokenizerFile) => unknown) => {
    const file: TokenizerFile = JSON.parse(json);
    change(file);
    return () => readTokenizer("other.json", JSON.stringify(file));
  };
  it.each<[string, Parameters<typeof changed>[0], string]>([
    [
      "with another normalizer",
      (file) => Object.assign(file, { normalizer: { type: "NFKC" } }),
      'normalizer {"type":"NFKC"}',
    ],
    ["with no normalizer", (file) => Object.assign(file, { normalizer: null }), "normalizer null"],
    [
      "with another pre-tokenizer",
      (file) => Object.assign(file, { pre_tokenizer: { type: "ByteLevel" } }),
      "pre_tokenizer",
    ],
    ["with another split", (file) => (file.pre_tokenizer.behavior = "Isolated"), "Isolated"],
    ["with a broken expression", (file) => (file.pre_tokenizer.pattern.Regex = "[a"), "[a is not understood"],
    [
      "with another model",
      (file) => Object.assign(file, { model: { type: "WordLevel" } }),
      'model {"type":"WordLevel"}',
    ],
    ["with no vocabulary", (file) => Object.assign(file.model, { vocab: undefined }), "vocab"],
    ["with fractional ids", (file) => (file.model.vocab.sloth = 1.5), "vocab"],
    ["with no unknown token", (file) => (file.model.unk_token = "<unk>"), '"<unk>" is not in its vocab'],
    ["with another template", (file) => file.post_processor.single.reverse(), "post_processor"],
    ["with two end tokens", (file) => file.post_processor.single.push(file.post_processor.single[1]), "post_processor"],
    ["with no template", (file) => Object.assign(file, { post_processor: null }), "post_processor null"],
    ["with truncation", (file) => Object.assign(file, { truncation: { max_length: 8 } }), "truncation"],
    ["with added words", (file) => (file.added_tokens[2].special = false), "added_tokens"],
    ["with no padding token", (file) => file.added_tokens.shift(), "id 0 is not a special token"],
  ])("%s is refused by name", (_, change, message) => {
    expect(changed(change)).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringContaining(message) }),
    );
  });

  it("that is not JSON is refused", () => {
    expect(() => readTokenizer("other.json", "{")).toThrow("other.json is not JSON");
    expect(() => readTokenizer("other.json", "[]")).toThrow(expect.objectContaining({ code: "config" }));
  });
});
