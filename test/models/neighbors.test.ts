// Neighbours in the U-Nets of public models: joined attention against its definition in f64, and what must change nothing.
import { describe, expect, it } from "vitest";
import { selfAttentionLevels } from "../../src/models/diffusers/unet.ts";
import { readUnetConfig } from "../../src/models/diffusers/unet_config.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { joinedUnet } from "./joined_attention.ts";
import { recorded, runUnet, type UnetExample } from "./run_diffusers.ts";

const tokens = 5;

/** One evaluation of 8x8, and neighbours for it: so many of a size, with texts of their own, at a time of little noise. */
async function open(name: string) {
  const { config: text, checkpoint } = await recorded(name);
  const config = readUnetConfig(`${name}/config.json`, text);
  const random = new Random(5);
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const example: UnetExample = {
    ...{ config, checkpoint, storage: "f32", size: [8, 8], texts: [1, tokens], time: Float32Array.of(700) },
    sample: normals(64 * config.inputs),
    text: normals(tokens * config.text.inputs),
  };
  const neighbors = (count: number, side: number, levels = selfAttentionLevels(config)) => ({
    ...({ size: [side, side], texts: [count, tokens], levels, time: Float32Array.of(12) } as const),
    sample: normals(count * side * side * config.inputs),
    text: normals(count * tokens * config.text.inputs),
  });
  return { example, neighbors };
}

/** The same evaluation three times: shown no neighbour, the first, and the first two. */
function threefold(example: UnetExample): UnetExample {
  const sample = Float32Array.from([0, 1, 2].flatMap(() => [...example.sample]));
  return { ...example, sample, shown: [0, 1, 2].map((neighbors) => ({ row: 0, length: tokens, neighbors })) };
}

function third(values: Float32Array, index: number): Float32Array {
  return values.subarray((index * values.length) / 3, ((index + 1) * values.length) / 3);
}

describe.each([
  { name: "sd-1", levels: [0, 1, 2] },
  { name: "if-stage-1", levels: [1, 2] },
])("$name", ({ name, levels }) => {
  it("sees none, one or two neighbours, of any size, as attention over more keys has it", async () => {
    const { example, neighbors } = await open(name);
    expect(selfAttentionLevels(example.config)).toEqual(levels);
    const plain = await joinedUnet(example);
    const errors = [relativeError(await runUnet(example), plain)];
    const larger = { ...example, neighbors: neighbors(1, 16, levels.slice(1)) };
    const two = { ...example, neighbors: neighbors(2, 4) };
    for (const joined of [larger, two]) {
      const expected = await joinedUnet(joined);
      expect(relativeError(plain, expected)).toBeGreaterThan(1e-2);
      errors.push(relativeError(await runUnet(joined), expected));
      if (joined !== two) continue;
      const half = relativeError(await runUnet({ ...two, storage: "f16" }), expected);
      expect(half).toBeLessThan(1e-2);
      errors.push(half);
    }
    console.info(`${name} with 0, 1, 2 neighbours, and 2 in f16: ${errors.map((e) => e.toExponential(1)).join(", ")}`);
    expect(Math.max(...errors.slice(0, 3))).toBeLessThan(2e-5);
  });

  it("takes neighbours in any order, and without them is what it was", async () => {
    const { example, neighbors } = await open(name);
    const given = neighbors(2, 8);
    const turned = (values: Float32Array<ArrayBuffer>) => {
      const half = values.length / 2;
      return Float32Array.from([...values.subarray(half), ...values.subarray(0, half)]);
    };
    const seen = await runUnet({ ...threefold(example), neighbors: given });
    const reversed = { ...given, sample: turned(given.sample), text: turned(given.text) };
    const inTurn = await runUnet({ ...threefold(example), neighbors: reversed });
    expect(relativeError(third(inTurn, 2), third(seen, 2))).toBeLessThan(1e-5);
    expect(relativeError(third(inTurn, 1), third(seen, 1))).toBeGreaterThan(1e-2);
    expect(relativeError(third(seen, 0), await runUnet(example))).toBeLessThan(1e-6);
    expect(relativeError(third(seen, 0), third(inTurn, 0))).toBe(0);
  });
});

it("a transformer that is shown the very sample, once or twice, sees nothing new: a mean over keys that come twice is the same mean", async () => {
  const { example } = await open("sd-1");
  const { sample, text, time } = example;
  const itself = {
    ...({ size: [8, 8], texts: [2, tokens], levels: [0, 1, 2], time } as const),
    sample: Float32Array.from([...sample, ...sample]),
    text: Float32Array.from([...text, ...text]),
  };
  const shown = await runUnet({ ...threefold(example), neighbors: itself });
  expect(relativeError(third(shown, 1), third(shown, 0))).toBeLessThan(1e-5);
  expect(relativeError(third(shown, 2), third(shown, 0))).toBeLessThan(1e-5);
  const later = await runUnet({ ...threefold(example), neighbors: { ...itself, time: Float32Array.of(12) } });
  expect(relativeError(third(later, 1), third(later, 0))).toBeGreaterThan(1e-3);
});
