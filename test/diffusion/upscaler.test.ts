// Super-resolution stages: whole drawings against the published formulas in f64 on the model's own answers, the noise level, sizes, what is refused.
import { describe, expect, it } from "vitest";
import { createEngine, type Engine, readDefinition } from "../../src/diffusion/engine.ts";
import { type LowPictures, lowPictures } from "../../src/diffusion/low.ts";
import type { NeighborPicture } from "../../src/diffusion/neighbors.ts";
import type { GenerationRequest } from "../../src/diffusion/request.ts";
import { upscalingSettings } from "../../src/diffusion/settings.ts";
import { onWhite, type Picture } from "../../src/io/picture.ts";
import { openSafetensors, type Safetensors, type TensorBytes, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { readConfig } from "../../src/models/config.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { ownGpu, testGpu } from "../gpu.ts";
import { runModel } from "../models/run_model.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { type TinyModel, tinyLastUpscaler, tinyModel, tinyUpscaler } from "../tiny-model.ts";
import { changed, expectError, filesOf, neighbors, randomPicture } from "./tiny-engine.ts";

/** Draws on an engine of its own, which leaves nothing behind. */
async function using<T>(model: TinyModel, use: (engine: Engine) => Promise<T>): Promise<T> {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const engine = await createEngine(gpu, filesOf(model));
  try {
    return await use(engine);
  } finally {
    engine.dispose();
    expect(gpu.allocatedBytes).toBe(before);
  }
}

/** Smaller pictures of soft noise. */
function small(width = 16, height = 16, count = 1, seed = 3): LowPictures {
  const random = new Random(seed);
  const values = Float32Array.from({ length: count * width * height * 3 }, () => 1.6 * random.next() - 0.8);
  return { width, height, values };
}

/** Normals of a seed by the generator's definition; `use`: 0 for the first noise, the last for the smaller picture. */
function noiseOf(seed: number, shape: readonly number[], use = 0): Float64Array {
  const key = { shape: [1, 4], data: Float64Array.of(seed, 0, use, 0) };
  return randomNormal.reference([key], { shape: [1, ...shape], dtype: "f32" }, { shape }) as Float64Array;
}

/** Bilinear enlargement by whole factors about the middles of pixels, as PyTorch has it without `align_corners`. */
function enlarged({ width: w, height: h, values }: LowPictures, factor: number): Float64Array {
  const [width, height] = [w * factor, h * factor];
  const clamped = (at: number, most: number) => Math.min(Math.max(at, 0), most);
  return Float64Array.from({ length: height * width * 3 }, (_, i) => {
    const [row, column, channel] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    const [y, x] = [clamped((row + 0.5) / factor - 0.5, h - 1), clamped((column + 0.5) / factor - 0.5, w - 1)];
    const [top, left] = [Math.floor(y), Math.floor(x)];
    const at = (r: number, c: number) => values[(clamped(r, h - 1) * w + clamped(c, w - 1)) * 3 + channel]!;
    const across = (r: number) => at(r, left) + (x - left) * (at(r, left + 1) - at(r, left));
    return across(top) + (y - top) * (across(top + 1) - across(top));
  });
}

/** [H, W, 3] as a recorded tensor [1, 3, H, W]. */
function pictureTensor(name: string, values: ArrayLike<number>, height: number, width: number): TensorBytes {
  const planes = Float32Array.from({ length: values.length }, (_, i) => {
    const [channel, pixel] = [Math.floor(i / height / width), i % (height * width)];
    return values[pixel * 3 + channel]!;
  });
  return { name, dtype: "F32", shape: [1, 3, height, width], bytes: new Uint8Array(planes.buffer) };
}

const opened = (tensors: TensorBytes[]): Promise<Safetensors> =>
  openSafetensors(bytesSource("recorded", writeSafetensors(tensors)));

/** The model's answer to one evaluation, [H, W, 3], computed without loop and sampler. */
async function answer(
  model: TinyModel,
  request: GenerationRequest & { low: LowPictures },
  x: Float64Array,
  beside: Float64Array,
  [time, level]: [time: number, level: number],
): Promise<Float32Array> {
  const { config, tokenizer } = readDefinition(filesOf(model));
  const [height, width] = [request.low.height * 4, request.low.width * 4];
  const near = request.neighbors ?? [];
  const ids = (text: string) => [...tokenizer.tokenize(text, config.text_len).ids];
  const integers = (name: string, texts: string[], shape: number[]) => {
    const bytes = new Uint8Array(Int32Array.from(texts.flatMap(ids)).buffer);
    return { name, dtype: "I32", shape, bytes } as TensorBytes;
  };
  const number = (name: string, value: number): TensorBytes => {
    return { name, dtype: "F32", shape: [1], bytes: new Uint8Array(Float32Array.of(value).buffer) };
  };
  const pictures = near.map(({ picture }) => onWhite(picture as Picture));
  const executor = await runModel({
    config,
    checkpoint: await opened(model.tensors),
    recorded: await opened([
      pictureTensor("in.x", x, height, width),
      pictureTensor("in.low", beside, height, width),
      ...pictures.map((values) => pictureTensor("in.neighbors", values, config.size, config.size)),
      number("in.t", time),
      number("in.level", level),
      integers("in.ids", [request.prompt], [1, config.text_len]),
      integers(
        "in.neighbor_ids",
        near.map(({ caption }) => caption),
        [1, near.length, config.text_len],
      ),
    ]),
    storage: "f32",
    neighbors: near.length,
    shown: [near.length],
  });
  const values = (await executor.read("v")) as Float32Array;
  executor.dispose();
  return values;
}

/** DDIM (Song et al., 2020, equation 12 with sigma = 0) on the cosine schedule, x0 clipped; nothing of the engine's but the model's answers. */
async function drawn(
  model: TinyModel,
  request: GenerationRequest & { low: LowPictures },
  { seed, steps, level }: { seed: number; steps: number; level: number },
): Promise<Float64Array> {
  const extent = [request.low.height * 4, request.low.width * 4, 3];
  const scales = (t: number) => [Math.cos((Math.PI / 2) * t), Math.sin((Math.PI / 2) * t)] as const;
  const [keep, add] = scales(level);
  const { low } = request;
  const noise = noiseOf(seed, [low.height, low.width, 3], 2 ** 32 - 1);
  const noisy = low.values.map((value, i) => keep * value + add * noise[i]!);
  const beside = enlarged({ ...low, values: noisy }, 4);
  let x = noiseOf(seed, extent);
  for (let step = 0; step < steps; step++) {
    const time = 1 - step / steps;
    const said = await answer(model, request, x, beside, [time, level]);
    const [alpha, sigma] = scales(time);
    const [nextAlpha, nextSigma] = scales(1 - (step + 1) / steps);
    x = x.map((value, i) => {
      const guess = model.config.prediction === "x0" ? said[i]! : alpha * value - sigma * said[i]!;
      const clean = Math.min(Math.max(guess, -1), 1);
      return nextAlpha * clean + (nextSigma * (value - alpha * clean)) / sigma;
    });
  }
  return x;
}

const seed = 7;

describe("a super-resolution stage", () => {
  const near: NeighborPicture[] = [{ picture: randomPicture(4, 64, 64), caption: "a moose" }];
  it.each([
    ["that predicts v and sees a neighbour", tinyUpscaler(), { neighbors: near }, 0.1],
    [
      "of another size than it was trained for, the neighbour's as ever",
      tinyUpscaler(),
      { neighbors: near, low: small(12, 8) },
      0.3,
    ],
    ["that predicts x0 and sees none", { ...tinyModel({ ...tinyLastUpscaler().config, size: 64, patch: 8 }) }, {}, 0],
  ])("%s draws what DDIM's published formula makes of its answers", async (_, model, change, level) => {
    const request = { prompt: "a moose", low: small(), ...change };
    const settings = { steps: 3, seed };
    const told = level === 0.1 ? {} : { noiseLevel: level };
    const { values, settings: used } = await using(model, (engine) =>
      engine.generate({ ...request, ...told, settings }),
    );
    expect(used).toEqual({ ...upscalingSettings, ...settings });
    expect([values.width, values.height]).toEqual([request.low.width * 4, request.low.height * 4]);
    const expected = await drawn(model, request, { seed, steps: 3, level });
    const error = relativeError(values.values, expected);
    console.info(`a whole drawing of a super-resolution stage: relative L2 error ${error.toExponential(1)}`);
    expect(error).toBeLessThan(1e-5);
    // Were all of it clipped, errors would not show.
    expect(values.values.filter((value) => Math.abs(value) < 0.99).length / values.values.length).toBeGreaterThan(0.2);
  });

  it("is told how noisy the smaller picture is made, beside seeing it", async () => {
    const blind = changed(tinyUpscaler(), "stem.weight", (values) => {
      // [O, 6 x patch^2, 3, 3]: x's channels come before the smaller picture's.
      const half = 3 * 16 * 9;
      for (let at = half; at < values.length; at += 2 * half) values.fill(0, at, at + half);
    });
    const deaf = changed(blind, /^level1\./, (values) => values.fill(0));
    const draw = (model: TinyModel, noiseLevel: number) =>
      using(model, async (engine) => {
        const request = { prompt: "a moose", low: small(), noiseLevel, settings: { steps: 2, seed } };
        return (await engine.generate(request)).values.values;
      });
    expect(await draw(deaf, 0.4)).toEqual(await draw(deaf, 0.1));
    expect(relativeError(await draw(blind, 0.4), await draw(blind, 0.1))).toBeGreaterThan(1e-3);
    expect(relativeError(await draw(tinyUpscaler(), 0.4), await draw(tinyUpscaler(), 0.1))).toBeGreaterThan(1e-3);
  });

  it("draws the same for a seed, alone or in a batch of smaller pictures, guided too", async () => {
    await using(tinyUpscaler(), async (engine) => {
      const low = small(16, 16, 2);
      const second = { ...low, values: low.values.slice(16 * 16 * 3) };
      const draw = async (low: LowPictures, seed: number) => {
        const guidance = { mode: "interleaved" } as const;
        const settings = { steps: 2, seed, guidance };
        return (await engine.generate({ prompt: "a moose", neighbors: neighbors(1), low, settings })).pictures;
      };
      const [both, alone] = [await draw(low, 5), await draw(second, 6)];
      expect(both).toHaveLength(2);
      const apart = both[1]!.pixels.map((level, at) => Math.abs(level - alone[0]!.pixels[at]!));
      expect(Math.max(...apart)).toBeLessThanOrEqual(1);
      expect(both[0]!.pixels).not.toEqual(both[1]!.pixels);
    });
  });

  it("starts from pictures as well as from values", async () => {
    const picture = { ...randomPicture(1), pixels: randomPicture(1).pixels.map((v, i) => (i % 4 === 3 ? 255 : v)) };
    const { width, height, values } = lowPictures([picture, picture]);
    expect([width, height, values.length]).toEqual([16, 16, 2 * 16 * 16 * 3]);
    expect(values[4]! * 127.5 + 127.5).toBeCloseTo(picture.pixels[5]!, 3);
    expect(() => lowPictures([picture, randomPicture(2, 8, 8)])).toThrow("must have one size");
  });

  it("draws in an app's frames as in one go, into a texture", async () => {
    await using(tinyUpscaler(), async (engine) => {
      const { device } = engine.gpu;
      const request = { prompt: "a moose", low: small(), neighbors: neighbors(1), settings: { steps: 2, seed } };
      const whole = await engine.generate(request);
      const generation = await engine.start(request);
      while (!generation.finished) {
        const encoder = device.createCommandEncoder();
        generation.encode(encoder, { budget: 5 });
        device.queue.submit([encoder.finish()]);
      }
      const texture = generation.createTexture({ usage: GPUTextureUsage.COPY_SRC });
      const buffer = device.createBuffer({ size: 64 * 256, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
      const encoder = device.createCommandEncoder();
      encoder.copyTextureToBuffer({ texture }, { buffer, bytesPerRow: 256 }, [64, 64]);
      device.queue.submit([encoder.finish()]);
      await buffer.mapAsync(GPUMapMode.READ);
      expect(new Uint8ClampedArray(buffer.getMappedRange().slice(0))).toEqual(whole.pictures[0]!.pixels);
      buffer.destroy();
      texture.destroy();
      generation.dispose();
    });
  });

  it("draws on when its device is lost, to the same picture", async () => {
    const gpu = await ownGpu();
    const engine = await createEngine(gpu, filesOf(tinyUpscaler()));
    const request = { prompt: "a moose", low: small(), neighbors: neighbors(1), settings: { steps: 4, seed } };
    const whole = await engine.generate(request);
    let lost = false;
    const mended = await engine.generate(request, {
      onStep(done) {
        if (done === 2 && !lost) gpu.device.destroy();
        lost ||= done === 2;
      },
    });
    expect(lost).toBe(true);
    expect(mended.pictures).toEqual(whole.pictures);
    engine.dispose();
    gpu.dispose();
  });
});

describe("a config", () => {
  const { config } = tinyUpscaler();
  const read = (change: object) => readConfig("super/config.json", JSON.stringify({ ...config, ...change }));

  it("may leave out what super-resolution stages have, and say how many steps suit the model", async () => {
    const { neighbors, low_factor, ...rest } = config;
    expect(readConfig("super/config.json", JSON.stringify(rest))).toEqual(config);
    const model = { ...tinyUpscaler(), config: read({ steps: 3 }) };
    const steps = await using(model, async (engine) => {
      const draw = async (settings: object) => engine.generate({ prompt: "a moose", low: small(), settings });
      return [(await draw({})).settings.steps, (await draw({ steps: 2 })).settings.steps];
    });
    expect(steps).toEqual([3, 2]);
  });

  it.each<[object, RegExp]>([
    [{ cond_channels: 4 }, /^super\/config.json: cond_channels must be 0 or 3, got 4$/],
    [{ low_factor: 0 }, /^super\/config.json: low_factor must be a positive integer, got 0$/],
    [{ residual_std: -1 }, /^super\/config.json: residual_std must be a number from 0 up, got -1$/],
    [
      { residual_std: 0.1, prediction: "x0" },
      /^super\/config.json: residual_std needs cond_channels 3 and prediction v$/,
    ],
    [{ low_factor: 3 }, /^super\/config.json: size 64 must be a multiple of low_factor 3$/],
    [{ steps: 1.5 }, /^super\/config.json: steps must be a positive integer, got 1.5$/],
    [{ attention_pos: 1 }, /^super\/config.json: attention_pos must be true or false, got 1$/],
    [{ attention_pos: true }, /^super\/config.json: attention_pos needs cond_channels 0 and neighbors true$/],
    [{ neighbors: "no" }, /^super\/config.json: neighbors must be true or false, got "no"$/],
  ])("of %j is refused", (change, sentence) => {
    expect(() => read(change)).toThrow(sentence);
  });

  it("that contradicts its weights is refused: neighbours that they know nothing of, no low-resolution picture", async () => {
    const gpu = await testGpu();
    const create = (change: object) => createEngine(gpu, filesOf({ ...tinyUpscaler(), config: read(change) }));
    await expectError(
      create({ neighbors: false }),
      "config",
      /has a tensor neighbor\S* that the config has no place for$/,
    );
    await expectError(
      create({ cond_channels: 0 }),
      "tensor",
      /tensor stem\.weight should be \[16, 48, 3, 3\] by the config, got/,
    );
  });
});

describe("what is asked for in vain is told in a sentence, before any work", () => {
  const wrong = { ...small(), values: new Float32Array(5) };
  it.each<[string, TinyModel, Partial<GenerationRequest>, RegExp]>([
    ["no smaller picture", tinyUpscaler(), {}, /^this model is an upscaler: it needs a smaller picture to start from$/],
    [
      "a smaller picture",
      tinyModel(),
      { low: small() },
      /^this model draws from a prompt, and cannot start from a smaller picture$/,
    ],
    [
      "too few values",
      tinyUpscaler(),
      { low: wrong, pictures: 1 },
      /^1 smaller pictures of 16x16 have 768 values, got 5$/,
    ],
    [
      "another number of them",
      tinyUpscaler(),
      { low: small(), pictures: 2 },
      /^2 smaller pictures of 16x16 have 1536 values, got 768$/,
    ],
    [
      "a picture without pixels",
      tinyUpscaler(),
      { low: small(0) },
      /^a side of the smaller picture must be a whole number of at least 1, got 0$/,
    ],
    ["too much noise", tinyUpscaler(), { low: small(), noiseLevel: 1.5 }, /^noise level must be in \[0, 1\], got 1.5$/],
    [
      "a size between its patches",
      tinyLastUpscaler(),
      { low: small(66, 64) },
      /^this model draws 4 times the smaller picture's size, in multiples of 16, but that would be 264x256$/,
    ],
    [
      "neighbours that it does not see",
      tinyLastUpscaler(),
      { low: small(), neighbors: neighbors(2) },
      /^this model sees no neighbours, got 2$/,
    ],
  ])("%s", async (_, model, request, sentence) => {
    await using(model, async (engine) => {
      const before = engine.gpu.allocatedBytes;
      await expectError(engine.generate({ prompt: "a moose", ...request }), "argument", sentence);
      expect(engine.gpu.allocatedBytes).toBe(before);
    });
  });
});
