// Pictures in tiles: decoding and upscaling what is too large for the device, and that nobody sees where the tiles meet.
import { beforeAll, describe, expect, it } from "vitest";
import { generateCascade } from "../../src/diffusion/pipeline/cascade.ts";
import { openPipeline, type PipelineOptions } from "../../src/diffusion/pipeline/pipeline.ts";
import type { LowPictures } from "../../src/diffusion/pipeline/request.ts";
import { addTile, cutTile, tileCount, tilingOf } from "../../src/diffusion/pipeline/tiles.ts";
import { ownGpu, testGpu } from "../gpu.ts";
import { relativeError } from "../ops/harness.ts";
import { type Files, memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";

let sd: Files;
let second: Files;
let x4: Files;
beforeAll(async () => {
  sd = await tinyPipeline("StableDiffusionPipeline");
  second = await tinyPipeline("IFSuperResolutionPipeline");
  x4 = await tinyPipeline("StableDiffusionUpscalePipeline");
});

describe("tiles of any picture", () => {
  it.each([
    [64, 48, 24],
    [33, 17, 16],
    [16, 16, 16],
    [16, 16, 40],
    [100, 9, 8],
  ])("%i x %i in tiles of %i: cut and laid over each other they are the picture", (height, width, side) => {
    const tiling = tilingOf(height, width, side);
    const picture = Float32Array.from({ length: height * width * 2 }, (_, i) => Math.sin(i));
    const again = new Float32Array(picture.length);
    for (const row of tiling.rows.starts.keys())
      for (const column of tiling.columns.starts.keys())
        addTile(again, cutTile(picture, tiling, row, column), tiling, row, column);
    expect(relativeError(again, picture)).toBeLessThan(1e-6);
    expect(tileCount(tiling) === 1).toBe(side >= Math.max(height, width));
    for (const { starts, length, extent } of [tiling.rows, tiling.columns]) {
      expect([starts[0], starts.at(-1)! + length]).toEqual([0, extent]);
      for (const [i, start] of starts.entries())
        if (i) expect(starts[i - 1]! + length - start).toBeGreaterThanOrEqual(length / 4);
    }
  });
});

const size = { width: 64, height: 96 };
const request = { prompt: "a red fox", steps: 1, seed: 5, size };

async function decoded(options: PipelineOptions, change = {}) {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const pipeline = await openPipeline(gpu, memoryFolder("sd", sd), options);
  const result = await pipeline.generate({ ...request, ...change });
  pipeline.dispose();
  expect(gpu.allocatedBytes).toBe(before);
  return result;
}

/** Root mean square of the steps from each pixel to the next one down, over the rows of `at`, [height, width, 3]. */
function steps({ values, width, height }: LowPictures, at: (row: number) => boolean): number {
  let [sum, count] = [0, 0];
  for (let row = 0; row + 1 < height; row++)
    for (let i = 0; at(row) && i < width * 3; i++, count++)
      sum += (values[(row + 1) * width * 3 + i]! - values[row * width * 3 + i]!) ** 2;
  return Math.sqrt(sum / count);
}

describe("a decoder in tiles", () => {
  it("decodes the very same where one tile is the picture", async () => {
    const whole = await decoded({});
    const one = await decoded({ tile: 96 });
    expect(one.values.values).toEqual(whole.values.values);
    expect(one.pictures[0]!.pixels).toEqual(whole.pictures[0]!.pixels);
  });

  // Attention and group norms see a tile for the whole picture, so that it cannot be the same to the bit.
  it("decodes nearly the same where there are several, and nothing shows where they meet", async () => {
    const whole = await decoded({});
    const tiled = await decoded({ tile: 48 });
    expect(tiled.pictures[0]).toMatchObject(size);
    const error = relativeError(tiled.values.values, whole.values.values);
    // Tiles begin at rows 0, 24 and 48, and end at 48, 72 and 96.
    const border = (row: number) => [23, 47, 71].includes(row);
    const [seams, elsewhere] = [steps(tiled.values, border), steps(tiled.values, (row) => !border(row))];
    const [were, others] = [steps(whole.values, border), steps(whole.values, (row) => !border(row))];
    console.info(
      `six tiles: relative L2 error ${error.toFixed(3)}; steps at seams ${(seams / elsewhere).toFixed(3)} of those elsewhere, whole ${(were / others).toFixed(3)}`,
    );
    expect(error).toBeLessThan(0.2);
    expect(seams / elsewhere).toBeLessThan((1.1 * were) / others);
    expect(tiled.warnings).toEqual([]);
  });

  it("is used where the whole does not fit, which is said", async () => {
    const gpu = await testGpu();
    const bits = { storage: "f16", weights: "q8" } as const;
    const large = { size: { width: 96, height: 128 } };
    const { parts } = (await openPipeline(gpu, memoryFolder("sd", sd), bits)).plan({ ...request, ...large });
    const { weights, intermediate, persistent } = parts.at(-1)!.needs;
    const memory = Math.ceil(0.6 * (weights + intermediate + persistent));
    const result = await decoded({ ...bits, memory }, large);
    expect(result.warnings).toEqual(["sd/vae works in tiles of 64 pixels, as the whole does not fit"]);
    const whole = await decoded(bits, large);
    expect(relativeError(result.values.values, whole.values.values)).toBeLessThan(0.2);
  });
});

describe("an upscaler in tiles", () => {
  const low = { width: 8, height: 8, values: Float32Array.from({ length: 192 }, (_, i) => Math.sin(i / 9)) };
  const upscale = async (files: Files, options: PipelineOptions, change = {}) => {
    const pipeline = await openPipeline(await testGpu(), memoryFolder("up", files), options);
    const result = await pipeline.generate({ prompt: "a red fox", steps: 3, seed: 5, low, ...change });
    pipeline.dispose();
    return result;
  };

  it("draws the very same where one tile is the picture, and a picture of a batch as alone", async () => {
    const whole = await upscale(second, {});
    expect((await upscale(second, { tile: 32 })).values.values).toEqual(whole.values.values);
    const twice = { ...low, values: Float32Array.from([...low.values, ...low.values]) };
    const two = await upscale(second, { tile: 16 }, { low: twice });
    const alone = await upscale(second, { tile: 16 }, { seed: 6 });
    expect(relativeError(two.values.values.subarray(alone.values.values.length), alone.values.values)).toBeLessThan(
      1e-4,
    );
    expect(alone.values.values).not.toEqual(whole.values.values);
  });

  it("of latents cuts its U-Net and its decoder, also in half precision and 8 bits, and the device is left empty", async () => {
    const gpu = await testGpu();
    const before = gpu.allocatedBytes;
    const wide = { width: 24, height: 16, values: new Float32Array(24 * 16 * 3) };
    const options = { tile: 48, storage: "f16", weights: "q8" } as const;
    const result = await upscale(x4, options, { low: wide });
    expect(result.pictures[0]).toMatchObject({ width: 96, height: 64 });
    expect(result.values.values.every(Number.isFinite)).toBe(true);
    expect(gpu.allocatedBytes).toBe(before);
  });

  it("goes on where the device is lost at a step", async () => {
    const gpu = await ownGpu();
    const pipeline = await openPipeline(gpu, memoryFolder("second", second), { tile: 16 });
    const asked = { prompt: "a red fox", steps: 3, seed: 5, low };
    const whole = await pipeline.generate(asked);
    let lost = false;
    const mended = await pipeline.generate(asked, {
      onStep(done) {
        if (done === 2 && !lost) gpu.device.destroy();
        lost ||= done === 2;
      },
    });
    expect(lost).toBe(true);
    expect(mended.pictures[0]!.pixels).toEqual(whole.pictures[0]!.pixels);
    pipeline.dispose();
    gpu.dispose();
  });

  it("is chosen in a cascade whose last stage has too little memory", async () => {
    const gpu = await testGpu();
    const first = await openPipeline(gpu, memoryFolder("first", sd));
    const free = await openPipeline(gpu, memoryFolder("x4", x4));
    const small = { prompt: "a red fox", steps: 1, size: { width: 48, height: 48 } };
    const blank = { width: 48, height: 48, values: new Float32Array(48 * 48 * 3) };
    const { parts } = free.plan({ prompt: "a", low: blank });
    const [unet, decoder] = parts.slice(1).map(({ needs }) => needs.weights + needs.intermediate + needs.persistent);
    const memory = Math.max(unet!, decoder!) - 1;
    const bounded = await openPipeline(gpu, memoryFolder("x4", x4), { memory });
    const { warnings, pictures } = await generateCascade([first, bounded], small);
    expect(warnings.join()).toMatch(/^x4\/(unet|vae) works in tiles of \d+ pixels/);
    expect(pictures[0]).toMatchObject({ width: 192, height: 192 });
    for (const pipeline of [first, free, bounded]) pipeline.dispose();
  });
});
