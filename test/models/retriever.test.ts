// The shipped retriever against its PyTorch definition, in float64 on the same f16 weights; and what its config may say.
import { describe, expect, it } from "vitest";
import { openSafetensors, type Safetensors, toFloat32 } from "../../src/io/safetensors.ts";
import { readRetrieverConfig } from "../../src/models/retriever_config.ts";
import { createRetriever } from "../../src/retrieval/retriever.ts";
import { fixture, fixtureText } from "../fixture.ts";
import { testGpu } from "../gpu.ts";

const folder = "weights/retriever";

async function shipped() {
  const [config, tokenizer] = await Promise.all(
    ["config.json", "tokenizer.json"].map((file) => fixtureText(`${folder}/${file}`)),
  );
  const weights = () => fixture(`${folder}/model.safetensors`);
  return createRetriever(await testGpu(), { name: folder, config: config!, tokenizer: tokenizer!, weights });
}

async function valuesOf(file: Safetensors, name: string): Promise<Float32Array> {
  return toFloat32(await file.read(name), file.tensors.get(name)!.dtype);
}

/** The pictures of the recording, whose values are those of whole bytes. */
function picturesOf(values: Float32Array, size: number) {
  return Array.from({ length: values.length / (3 * size * size) }, (_, i) => {
    const pixels = new Uint8ClampedArray(size * size * 4).fill(255);
    for (let c = 0; c < 3; c++)
      for (let at = 0; at < size * size; at++)
        pixels[at * 4 + c] = Math.round((values[(i * 3 + c) * size * size + at]! + 1) * 127.5);
    return { width: size, height: size, pixels };
  });
}

function worst(a: Float32Array, b: Float32Array): number {
  expect(a.length).toBe(b.length);
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
}

const prompts = [
  "a moose on a sunset beach",
  "fox",
  "grinning face, cheerful, cheery, face, grin, happy, laugh, nice, smile, teeth",
];

describe("the shipped retriever", () => {
  it("makes the vectors that PyTorch makes, of texts and of pictures, in any company", async () => {
    const retriever = await shipped();
    const golden = await openSafetensors(await fixture("test/fixtures/retriever.golden.safetensors"));
    const texts = await valuesOf(golden, "texts");
    const { dim, size } = retriever.config;
    expect(worst(await retriever.texts(prompts), texts)).toBeLessThan(1e-4);
    expect(worst(await retriever.texts(prompts.slice(1, 2)), texts.slice(dim, 2 * dim))).toBeLessThan(1e-4);
    const many = await retriever.texts(Array.from({ length: 40 }, (_, i) => prompts[i % 3]!));
    expect(worst(many.slice(39 * dim), texts.slice(0, dim))).toBeLessThan(1e-4);

    const seen = await valuesOf(golden, "pictures");
    const pictures = picturesOf(await valuesOf(golden, "in.pictures"), size);
    expect(worst(await retriever.pictures(pictures), seen)).toBeLessThan(1e-4);

    const both = await retriever.entries(pictures.map((picture, i) => ({ picture, text: prompts[i]! })));
    const sum = seen.map((value, i) => value + texts[i]!);
    for (let row = 0; row < 3; row++) {
      const length = Math.hypot(...sum.subarray(row * dim, (row + 1) * dim));
      const expected = sum.slice(row * dim, (row + 1) * dim).map((value) => value / length);
      expect(worst(both.slice(row * dim, (row + 1) * dim), expected)).toBeLessThan(1e-4);
    }
    await expect(retriever.pictures([{ width: 8, height: 8, pixels: new Uint8Array(256) }])).rejects.toThrow(
      `the retriever takes pictures of ${size}x${size} pixels, got 8x8`,
    );
    retriever.dispose();
  });
});

describe("a retriever's config", () => {
  it.each([
    [{ channels: [] }, "channels must be a list of positive integers, got []"],
    [{ id: "" }, 'id must be a text, got ""'],
    [{ blocks: [1] }, "blocks must be a positive integer, or a list of 2, got [1]"],
    [{ size: 60 }, "size 60 is not supported: it is not a multiple of patch x 2^levels = 16"],
    [{ text_heads: 5 }, "text_heads 5 is not supported: text_dim is not a multiple of it"],
    [{ norm_groups: 48 }, "norm_groups 48 is not supported: channels are not multiples of it"],
    [{ dropout: 0.1 }, "not supported: dropout 0.1"],
  ])("is refused with %j", async (changes, message) => {
    const config = JSON.parse(await fixtureText(`${folder}/config.json`));
    expect(() => readRetrieverConfig("config.json", JSON.stringify({ ...config, ...changes }))).toThrow(message);
  });
});
