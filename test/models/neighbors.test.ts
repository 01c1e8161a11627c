// Neighbours in the U-Nets of public models: joined attention against its definition in f64, and what must change nothing.
import { describe, expect, it } from "vitest";
import { selfAttentionLevels } from "../../src/models/diffusers/unet.ts";
import { readUnetConfig } from "../../src/models/diffusers/unet_config.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { joinedUnet } from "./joined_attention.ts";
import { recorded, runUnet, type UnetExample } from "./run_diffusers.ts";

/** Two samples of 8x8 at their own times, with texts of 5 tokens, and what their neighbours are taken from. */
async function open(
  name: "sd-1" | "if-stage-1",
): Promise<{ example: UnetExample; normals: (count: number) => Float32Array<ArrayBuffer> }> {
  const { config: text, checkpoint } = await recorded(name);
  const config = readUnetConfig(`${name}/config.json`, text);
  const random = new Random(5);
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  const example = {
    ...{ config, checkpoint, storage: "f32" as const, size: [8, 8] as const, texts: [2, 5] as const },
    sample: normals(2 * 64 * config.inputs),
    time: Float32Array.of(700, 40),
    text: normals(2 * 5 * config.text.inputs),
  };
  return { example, normals };
}

describe.each(["sd-1", "if-stage-1"] as const)("%s", (name) => {
  it("sees neighbours of another size as attention over more keys has it", async () => {
    const { example, normals } = await open(name);
    const { config } = example;
    const levels = selfAttentionLevels(config);
    expect(levels).toEqual(name === "sd-1" ? [0, 1, 2] : [1, 2]);
    const plain = await joinedUnet(example);
    expect(relativeError(await runUnet(example), plain)).toBeLessThan(2e-5);
    const errors: number[] = [];
    for (const [count, side, seenBy] of [
      [1, 8, levels],
      [2, 4, levels],
      [2, 16, levels.slice(1)],
    ] as const) {
      const neighbors = {
        ...{ size: [side, side] as const, texts: [count, 5] as const, levels: [...seenBy], time: Float32Array.of(12) },
        sample: normals(count * side * side * config.inputs),
        text: normals(count * 5 * config.text.inputs),
      };
      const expected = await joinedUnet({ ...example, neighbors });
      expect(relativeError(plain, expected)).toBeGreaterThan(1e-2);
      const error = relativeError(await runUnet({ ...example, neighbors }), expected);
      const half = relativeError(await runUnet({ ...example, neighbors, storage: "f16" }), expected);
      errors.push(error, half);
      expect(error).toBeLessThan(2e-5);
      expect(half).toBeLessThan(1e-2);
    }
    console.info(`${name} with neighbours, f32 and f16: ${errors.map((error) => error.toExponential(1)).join(", ")}`);
  });
});
