// The engine inside an app: on the app's device, in its encoders and textures, within its frames.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine } from "../../src/diffusion/engine.ts";
import type { Generation } from "../../src/diffusion/generation.ts";
import type { GenerationRequest } from "../../src/diffusion/request.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { adoptedGpu } from "../gpu.ts";
import { tinyModel } from "../tiny-model.ts";
import { expectError, filesOf, neighbors, SIZE } from "./tiny-engine.ts";

let gpu: Gpu;
let engine: Engine;
const uncaptured: string[] = [];
const listen = (event: Event) => void uncaptured.push((event as GPUUncapturedErrorEvent).error.message);

beforeAll(async () => {
  gpu = await adoptedGpu();
  gpu.device.addEventListener("uncapturederror", listen);
  engine = await createEngine(gpu, filesOf(tinyModel()));
});

afterAll(async () => {
  engine.dispose();
  expect(gpu.allocatedBytes).toBe(0);
  await gpu.idle();
  expect(uncaptured).toEqual([]);
  gpu.device.removeEventListener("uncapturederror", listen);
});

const request: GenerationRequest = { prompt: "a moose", neighbors: neighbors(2), settings: { steps: 4, seed: 11 } };
const drawn = async () => (await engine.generate(request)).pictures[0]!.pixels;

/** Runs a generation as a frame loop would; counts frames, and frames that completed a step. */
async function runFrames(
  generation: Generation,
  budget?: number,
  show?: (encoder: GPUCommandEncoder) => void,
): Promise<{ frames: number; steps: number }> {
  let [frames, steps] = [0, 0];
  while (!generation.finished) {
    const encoder = gpu.device.createCommandEncoder();
    if (generation.encode(encoder, budget === undefined ? {} : { budget })) {
      steps++;
      show?.(encoder);
    }
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.idle();
    frames++;
  }
  return { frames, steps };
}

/** The texels of a texture with COPY_SRC, RGBA8. */
async function texels(texture: GPUTexture): Promise<Uint8ClampedArray> {
  const { width, height } = texture;
  const bytes = 256 * height;
  const buffer = gpu.allocate("texels", bytes, GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC);
  const encoder = gpu.device.createCommandEncoder();
  encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow: 256 }, [width, height]);
  gpu.device.queue.submit([encoder.finish()]);
  const rows = new Uint8ClampedArray(await gpu.read(buffer, 0, bytes));
  gpu.release(buffer);
  return Uint8ClampedArray.from(
    Array.from({ length: height }, (_, y) => [...rows.subarray(256 * y, 256 * y + width * 4)]).flat(),
  );
}

describe("a generation in an app's own encoder", () => {
  it("is the picture that generate draws, a step a call", async () => {
    const generation = await engine.start(request);
    expect([generation.step, generation.steps, generation.finished]).toEqual([0, 4, false]);
    expect(await runFrames(generation)).toEqual({ frames: 4, steps: 4 });
    expect(() => generation.encode(gpu.device.createCommandEncoder())).toThrow(/^all 4 steps .* are done$/);
    const { pictures, settings } = await generation.finish();
    expect(settings.seed).toBe(11);
    expect(pictures[0]!.pixels).toEqual(await drawn());
  });

  it("is the same when all steps are encoded at once", async () => {
    const generation = await engine.start(request);
    const encoder = gpu.device.createCommandEncoder();
    while (!generation.finished) generation.encode(encoder);
    gpu.device.queue.submit([encoder.finish()]);
    expect((await generation.finish()).pictures[0]!.pixels).toEqual(await drawn());
  });

  it("of very many steps needs memory for a few hundred of them, and takes each from its place", async () => {
    const long = { ...request, settings: { steps: 600, seed: 11 } };
    const before = gpu.allocatedBytes;
    const generation = await engine.start(long);
    for await (const { step } of generation) if (step === 300) break;
    const most = gpu.allocatedBytes;
    const pictures = (await generation.finish()).pictures;
    expect(most - before).toBeLessThan(4e6);
    const framed = await engine.start(long);
    await runFrames(framed);
    expect((await framed.finish()).pictures).toEqual(pictures);
  });

  it("is the same when a budget cuts its steps into many frames, and other work goes on between them", async () => {
    const generation = await engine.start(request);
    const other = await engine.start({ ...request, prompt: "something else", neighbors: neighbors(1) });
    const { frames, steps } = await runFrames(generation, 0.5, (encoder) => {
      if (!other.finished) other.encode(encoder, { budget: 0.5 });
    });
    expect(steps).toBe(4);
    expect(frames).toBeGreaterThan(8);
    expect((await generation.finish()).pictures[0]!.pixels).toEqual(await drawn());
    other.dispose();
  });

  it("is the same in frames on a device that has no clock", async () => {
    const clockless = await adoptedGpu();
    Object.defineProperty(clockless, "traits", { value: { ...gpu.traits, timestamps: false } });
    const other = await createEngine(clockless, filesOf(tinyModel()));
    const generation = await other.start(request);
    const { frames } = await runFrames(generation, 2);
    expect(frames).toBeGreaterThan(4);
    expect((await generation.finish()).pictures[0]!.pixels).toEqual(await drawn());
    other.dispose();
  });

  it("can be left at a step and taken up by another loop", async () => {
    const generation = await engine.start(request);
    const seen: number[] = [];
    for await (const { step } of generation) {
      seen.push(step);
      if (step === 2) break;
    }
    for await (const { step, steps } of generation) seen.push(step + steps);
    expect(seen).toEqual([1, 2, 7, 8]);
    expect((await generation.finish()).pictures[0]!.pixels).toEqual(await drawn());
  });
});

describe("the picture", () => {
  it("goes into the app's texture as it forms, sRGB or not, alone or into an atlas", async () => {
    const usage = GPUTextureUsage.COPY_SRC | GPUTextureUsage.COPY_DST;
    const atlas = gpu.device.createTexture({ size: [40, 20], format: "rgba8unorm", usage });
    const generation = await engine.start({ ...request, pictures: 2 });
    const linear = generation.createTexture({ usage, format: "rgba8unorm-srgb" });
    const estimates = new Set<string>();
    while (!generation.finished) {
      const encoder = gpu.device.createCommandEncoder();
      generation.encode(encoder);
      generation.copyToTexture(encoder, linear);
      generation.copyToTexture(encoder, atlas, { what: "estimate", index: 1, origin: { x: 24, y: 3 } });
      gpu.device.queue.submit([encoder.finish()]);
      estimates.add(String(await texels(atlas)));
    }
    expect(estimates.size).toBe(4);
    const [picture] = await generation.read("picture");
    expect(await texels(linear)).toEqual(picture!.pixels);
    const [, estimate] = await generation.read("estimate");
    const shown = await texels(atlas);
    const row = (y: number) => shown.subarray(((y + 3) * 40 + 24) * 4, ((y + 3) * 40 + 24 + SIZE) * 4);
    for (let y = 0; y < SIZE; y++) expect(row(y)).toEqual(estimate!.pixels.subarray(y * SIZE * 4, (y + 1) * SIZE * 4));
    generation.dispose();
    linear.destroy();
    atlas.destroy();
  });

  it("lies in a buffer that the app can copy from", async () => {
    const generation = await engine.start(request);
    for await (const _ of generation);
    const { buffer, offset, size } = generation.range("picture");
    expect(size).toBe(SIZE * SIZE * 4);
    expect(new Uint8ClampedArray(await gpu.read(buffer, offset, size))).toEqual(await drawn());
    generation.dispose();
  });

  it("does not show an earlier one before its first step", async () => {
    const earlier = await drawn();
    const generation = await engine.start(request);
    expect((await generation.read("picture"))[0]!.pixels.every((value) => value === 0)).toBe(true);
    for (let stepped = false; !stepped; ) {
      const [picture] = await generation.read("picture");
      expect(picture!.pixels).not.toEqual(earlier);
      const encoder = gpu.device.createCommandEncoder();
      stepped = generation.encode(encoder, { budget: 0.001 });
      gpu.device.queue.submit([encoder.finish()]);
    }
    generation.dispose();
  });

  it("is refused a texture that cannot take it, in one sentence", async () => {
    const generation = await engine.start(request);
    const texture = (format: GPUTextureFormat, usage: number, side = SIZE) =>
      gpu.device.createTexture({ size: [side, side], format, usage });
    const { COPY_DST, TEXTURE_BINDING } = GPUTextureUsage;
    const cases: [GPUTexture, object, RegExp][] = [
      [texture("bgra8unorm", COPY_DST), {}, /^the texture should be rgba8unorm or rgba8unorm-srgb, got bgra8unorm$/],
      [texture("rgba8unorm", TEXTURE_BINDING), {}, /^the texture should have the usage COPY_DST, and has not$/],
      [texture("rgba8unorm", COPY_DST, 8), {}, /^a picture of 16x16 at \(0, 0\) does not fit the texture's 8x8$/],
      [texture("rgba8unorm", COPY_DST), { index: 1 }, /^index should be 0 to 0, got 1$/],
    ];
    const encoder = gpu.device.createCommandEncoder();
    for (const [target, options, sentence] of cases) {
      expect(() => generation.copyToTexture(encoder, target, options)).toThrow(sentence);
      target.destroy();
    }
    generation.dispose();
    expect(() => generation.encode(encoder)).toThrow("this generation has been disposed of");
  });
});

describe("a neighbour", () => {
  it("from the app's texture is the neighbour that its pixels are", async () => {
    const textures = neighbors(2).map(({ picture, caption }) => {
      const { width, height, pixels } = picture as { width: number; height: number; pixels: Uint8Array<ArrayBuffer> };
      const usage = GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST;
      const texture = gpu.device.createTexture({ size: [width, height], format: "rgba8unorm", usage });
      gpu.device.queue.writeTexture({ texture }, pixels, { bytesPerRow: width * 4 }, [width, height]);
      return { picture: texture, caption };
    });
    const { pictures } = await engine.generate({ ...request, neighbors: textures });
    expect(pictures[0]!.pixels).toEqual(await drawn());
    // They are the app's, and still alive.
    for (const { picture } of textures) picture.destroy();
  });

  it("from a texture that cannot be read is named, and leaves the device in peace", async () => {
    const before = gpu.allocatedBytes;
    const texture = (format: GPUTextureFormat, usage: number) =>
      gpu.device.createTexture({ size: [8, 8], format, usage });
    const { COPY_DST, TEXTURE_BINDING } = GPUTextureUsage;
    const destroyed = texture("rgba8unorm", TEXTURE_BINDING);
    destroyed.destroy();
    const cases: [GPUTexture, RegExp][] = [
      [texture("rgba8unorm", COPY_DST), /^neighbour 2 is a texture without the usage TEXTURE_BINDING$/],
      [
        texture("r32uint", TEXTURE_BINDING),
        /^neighbour 2 should be a 2d colour texture .* got 2d, 1 samples, r32uint$/,
      ],
      [destroyed, /^neighbour 2 cannot be read by the engine's device: /],
    ];
    for (const [picture, sentence] of cases) {
      const bad = { ...request, neighbors: [...neighbors(1), { picture, caption: "a thing" }] };
      await expectError(engine.start(bad), "picture", sentence);
      picture.destroy();
    }
    await drawn();
    // The last of them came so far as to prepare its memory, which is kept for the next.
    expect(gpu.allocatedBytes).toBe(before);
  });
});

describe("an app that draws a hundred pictures", () => {
  it("has its memory back after dispose, also from those that it aborted", async () => {
    const adopted = await adoptedGpu();
    const { device } = adopted;
    const other = await createEngine(adopted, filesOf(tinyModel()));
    for (let i = 0; i < 100; i++) {
      const controller = new AbortController();
      const generation = await other.start(
        { ...request, neighbors: neighbors(i % 3), settings: { steps: 3, seed: i } },
        { signal: controller.signal },
      );
      const stop = i % 4;
      try {
        for await (const { step } of generation) if (step === stop) controller.abort();
        await generation.finish();
        expect(stop).toBe(0);
      } catch (error) {
        // Fired at step 1 to 3: never a step later.
        expect(error).toMatchObject({
          code: "aborted",
          message: `the generation was aborted after step ${stop} of 3`,
        });
      } finally {
        generation.dispose();
      }
    }
    other.dispose();
    expect(adopted.allocatedBytes).toBe(0);
    await device.queue.onSubmittedWorkDone();
  });

  it("is told that a picture was cut short when the engine goes first", async () => {
    const other = await createEngine(gpu, filesOf(tinyModel()));
    const generation = await other.start(request);
    for await (const { step } of generation) if (step === 1) break;
    other.dispose();
    await expectError(
      generation.finish(),
      "aborted",
      /^the generation ended, as its engine was disposed of, after step 1 of 4$/,
    );
  });
});

describe("a profile", () => {
  it("has a time for every dispatch of the step, and leaves no memory behind", async () => {
    await drawn();
    const before = gpu.allocatedBytes;
    const profile = await engine.profile(request);
    const dispatches = engine.plan(request).schedule.step;
    expect(profile.map(({ label }) => label)).toEqual(dispatches.map(({ node }) => node.label));
    expect(profile.every(({ milliseconds }) => milliseconds >= 0)).toBe(true);
    expect(profile.reduce((sum, { milliseconds }) => sum + milliseconds, 0)).toBeGreaterThan(0);
    expect(profile.some(({ op, flops }) => op === "conv2d" && flops > 0)).toBe(true);
    expect(gpu.allocatedBytes).toBe(before);
  });
});
