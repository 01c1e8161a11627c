// The cascade of a base stage and two super-resolution stages on tiny models: what it is made of, what it tells, what it refuses.
import { afterAll, beforeAll, expect, it } from "vitest";
import { generateCascade } from "../../src/diffusion/cascade.ts";
import { createEngine, type Engine } from "../../src/diffusion/engine.ts";
import { upscalingSettings } from "../../src/diffusion/settings.ts";
import { testGpu } from "../gpu.ts";
import { tinyLastUpscaler, tinyModel, tinyUpscaler } from "../tiny-model.ts";
import { expectError, filesOf, neighbors } from "./tiny-engine.ts";

let base: Engine;
let second: Engine;
let third: Engine;
beforeAll(async () => {
  const gpu = await testGpu();
  base = await createEngine(gpu, filesOf(tinyModel()));
  second = await createEngine(gpu, filesOf(tinyUpscaler()));
  third = await createEngine(gpu, filesOf(tinyLastUpscaler()));
});
afterAll(() => {
  for (const engine of [base, second, third]) engine.dispose();
});

const near = neighbors(2);
const request = { prompt: "a moose", neighbors: near, settings: { steps: 2, seed: 5 }, upscaling: { steps: 2 } };

it("hands each stage's values to the next, the neighbours to those that see any, and the seed to all", async () => {
  const whole = await generateCascade([base, second, third], { ...request, noiseLevel: 0.3 });
  const { prompt, settings } = request;
  const first = await base.generate({ prompt, neighbors: near, settings });
  const enlarge = { prompt, noiseLevel: 0.3, settings };
  const middle = await second.generate({ ...enlarge, neighbors: near, low: first.values });
  const last = await third.generate({ ...enlarge, low: middle.values });
  expect(whole.pictures).toEqual(last.pictures);
  expect(whole.values).toEqual(last.values);
  expect([whole.values.width, whole.values.height]).toEqual([256, 256]);
  expect(whole.settings).toEqual(first.settings);
  expect(whole.stages).toEqual([first.settings, middle.settings, last.settings]);
  expect(last.settings).toEqual({ ...upscalingSettings, steps: 2, seed: 5 });
  expect((await generateCascade([base, second, third], request)).pictures).not.toEqual(whole.pictures);
});

it("enlarges several pictures one after the other, and tells which stage draws which", async () => {
  const told: string[] = [];
  const steps: number[] = [];
  const options = {
    onStage: (stage: number, picture: number) => void told.push(`${stage}/${picture}`),
    onStep: (done: number, _: number, { width }: { readonly width: number }) => void steps.push(width * 100 + done),
  };
  const { pictures } = await generateCascade([base, second], { ...request, pictures: 2 }, options);
  expect(told).toEqual(["0/0", "1/0", "1/1"]);
  expect(steps).toEqual([1601, 1602, 6401, 6402, 6401, 6402]);
  const alone = await generateCascade([base, second], { ...request, settings: { steps: 2, seed: 6 } });
  // What the base stage draws in a batch may differ by rounding, which the next stage carries on.
  const apart = pictures[1]!.pixels.map((level, at) => Math.abs(level - alone.pictures[0]!.pixels[at]!));
  expect(Math.max(...apart)).toBeLessThanOrEqual(1);
  expect(pictures[0]!.pixels).not.toEqual(pictures[1]!.pixels);
});

it("of one stage is that stage, and may start from a smaller picture itself", async () => {
  const { prompt, settings } = request;
  const { values, pictures } = await base.generate({ prompt, settings });
  expect((await generateCascade([base], { prompt, settings })).pictures).toEqual(pictures);
  const enlarged = await generateCascade([second, third], { prompt, settings, low: values, upscaling: { steps: 1 } });
  expect([enlarged.stages[0]!.sampler, enlarged.stages[0]!.steps, enlarged.stages[1]!.steps]).toEqual(["ddim", 2, 1]);
  expect(enlarged.pictures[0]!.width).toBe(256);
});

it("gathers warnings, each said once", async () => {
  const { warnings } = await generateCascade([base, second], { ...request, prompt: "très" });
  expect(warnings).toEqual(["the prompt has words that the model does not know: très"]);
});

it("refuses what a later stage would refuse before the first begins", async () => {
  const told: number[] = [];
  const options = { onStage: (stage: number) => void told.push(stage) };
  const draw = (engines: [Engine, ...Engine[]], change: object = {}) =>
    generateCascade(engines, { ...request, ...change }, options);
  await expectError(draw([base, base]), "argument", /cannot start from a smaller picture$/);
  await expectError(draw([second, third]), "argument", /needs a smaller picture to start from$/);
  await expectError(draw([base, second], { noiseLevel: -1 }), "argument", /^noise level must be in \[0, 1\], got -1$/);
  await expectError(draw([base, second], { upscaling: { steps: 0 } }), "argument", /^steps must be a whole number/);
  expect(told).toEqual([]);
});

it("stops at the next step of whichever stage is drawing", async () => {
  const stop = new AbortController();
  const options = { signal: stop.signal, onStage: (stage: number) => void (stage === 1 && stop.abort()) };
  await expectError(
    generateCascade([base, second], request, options),
    "aborted",
    /^the generation was aborted after step 0 of 2$/,
  );
  expect((await generateCascade([base, second], request)).pictures).toHaveLength(1);
});
