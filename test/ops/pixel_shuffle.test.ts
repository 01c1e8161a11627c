// Pixel shuffle and unshuffle on every kernel, their order of channels, and that one undoes the other.
import { describe, expect, it } from "vitest";
import { sizeOf, type TensorType } from "../../src/ops/op.ts";
import { type PixelShuffleAttributes, pixelShuffle, pixelUnshuffle } from "../../src/ops/pixel_shuffle.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, type Random, storage, testOp } from "./harness.ts";

function randomBlocks(random: Random) {
  const factor = random.int(1, 4);
  const channels = random.int(1, 5);
  const [batch, height, width] = [random.int(1, 3), random.int(1, 6), random.int(1, 6)];
  const wide = [batch, height * factor, width * factor, channels];
  const deep = [batch, height, width, channels * factor ** 2];
  return { factor, wide, deep };
}

function randomUnshuffle(random: Random): Case<PixelShuffleAttributes> {
  const { factor, wide, deep } = randomBlocks(random);
  return {
    inputs: [{ type: { shape: wide, dtype: storage(random, wide[3]!) } }],
    attributes: { factor, dtype: storage(random, deep[3]!) },
  };
}

function randomShuffle(random: Random): Case<PixelShuffleAttributes> {
  const { factor, wide, deep } = randomBlocks(random);
  return {
    inputs: [{ type: { shape: deep, dtype: storage(random, deep[3]!) } }],
    attributes: random.next() < 0.5 ? { factor } : { factor, dtype: storage(random, wide[3]!) },
  };
}

testOp(pixelUnshuffle, randomUnshuffle);
testOp(pixelShuffle, randomShuffle);

describe("pixel shuffle", () => {
  it("takes the blocks of a picture in PyTorch's order: channel, row, column", () => {
    // Two channels, 2x2: value = 100 channel + 10 row + column.
    const x = { shape: [1, 2, 2, 2], data: Float64Array.of(0, 100, 1, 101, 10, 110, 11, 111) };
    const type = pixelUnshuffle.infer([{ shape: x.shape, dtype: "f32" }], { factor: 2 });
    expect(type.shape).toEqual([1, 1, 1, 8]);
    expect([...pixelUnshuffle.reference([x], type, { factor: 2 })]).toEqual([0, 1, 10, 11, 100, 101, 110, 111]);
  });

  it("gives a 64x64 picture back after 16x16 patches of 48 channels", async () => {
    const gpu = await testGpu();
    const attributes = { factor: 4 };
    const picture: TensorType = { shape: [2, 64, 64, 3], dtype: "f32" };
    const data = Float64Array.from({ length: sizeOf(picture) }, (_, i) => i);
    const patches = pixelUnshuffle.infer([picture], attributes);
    expect(patches.shape).toEqual([2, 16, 16, 48]);
    const split = pixelUnshuffle.variants[0]!.launch([picture], patches, attributes, gpu.traits);
    const join = pixelShuffle.variants[0]!.launch([patches], picture, attributes, gpu.traits);
    const middle = await execute(gpu, split, [{ type: picture, data }], patches);
    expect(await execute(gpu, join, [{ type: patches, data: middle }], picture)).toEqual(data);
  });

  it("refuses a picture that its blocks do not fill", () => {
    expect(() => pixelUnshuffle.infer([{ shape: [1, 6, 8, 3], dtype: "f32" }], { factor: 4 })).toThrow(
      "H and W multiples of 4, got [1, 6, 8, 3]",
    );
  });
});
