// Whole generations against the same arithmetic in f64 on the CPU, with a model that always predicts one and the same picture.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/diffusion/engine.ts";
import { keyOf } from "../../src/diffusion/philox.ts";
import { referenceStep } from "../../src/diffusion/reference.ts";
import { stepCoefficients } from "../../src/diffusion/samplers.ts";
import { cosineSchedule, discreteSchedule } from "../../src/diffusion/schedule.ts";
import { type SamplingSettings, samplingSettings } from "../../src/diffusion/settings.ts";
import type { Thresholding } from "../../src/diffusion/thresholding.ts";
import { pixelShuffle } from "../../src/ops/pixel_shuffle.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { testGpu } from "../gpu.ts";
import { relativeError } from "../ops/harness.ts";
import { tinyModel } from "../tiny-model.ts";
import { changed, filesOf, SIZE } from "./tiny-engine.ts";

const seed = 2 ** 40 + 7;

const kinds = [
  { prediction: "v", schedule: "cosine" },
  { prediction: "epsilon", schedule: "scaled_linear" },
  { prediction: "x0", schedule: "linear" },
] as const;

const thresholdings: Thresholding[] = [
  { kind: "none" },
  { kind: "static", range: 0.8 },
  { kind: "dynamic", quantile: 0.9, max: 1.5 },
];

const samplers: Partial<SamplingSettings>[] = [
  { sampler: "ddpm" },
  { sampler: "ddim", etaDdim: 0.6 },
  { sampler: "dpm-solver++" },
];

describe.each(kinds)("a model of $prediction-prediction on the $schedule schedule", (kind) => {
  it("is sampled as f64 does it, by every sampler with every thresholding", async () => {
    const bias = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i) * 1.7);
    const mute = changed(tinyModel(), "out.weight", (values) => values.fill(0));
    const model = changed(mute, "out.bias", (values) => values.set(bias));
    const engine = await createEngine(await testGpu(), filesOf({ ...model, config: { ...model.config, ...kind } }));
    for (const sampler of samplers)
      for (const thresholding of thresholdings) {
        const settings = samplingSettings({ ...sampler, thresholding, steps: 5, seed });
        let drawn = new Float32Array();
        await engine.generate(
          { prompt: "a moose", settings },
          {
            onStep: async (done, total, generation) => {
              if (done === total) drawn = (await generation.values()).slice();
            },
          },
        );
        const error = relativeError(drawn, replay(kind, settings, bias));
        expect(error, `${sampler.sampler}, ${thresholding.kind}`).toBeLessThan(1e-5);
      }
    engine.dispose();
  });
});

/** The picture that a model makes whose last layer is its bias. */
function replay(
  { prediction, schedule }: (typeof kinds)[number],
  settings: SamplingSettings,
  bias: Float32Array,
): Float64Array {
  const prior = { shape: [1, SIZE / 2, SIZE / 2, 12], data: new Float64Array((SIZE / 2) ** 2 * 12) };
  prior.data.forEach((_, i) => {
    prior.data[i] = bias[i % 12]!;
  });
  const type = { shape: [1, SIZE, SIZE, 3], dtype: "f32" } as const;
  const m = pixelShuffle.reference([prior], type, { factor: 2 });
  const noise = (stream: number) => {
    const key = { shape: [1, 4], data: Float64Array.of(...keyOf(seed), stream, 0) };
    return randomNormal.reference([key], type, { shape: [SIZE, SIZE, 3] });
  };
  const times = schedule === "cosine" ? cosineSchedule : discreteSchedule({ betaSchedule: schedule });
  let state: { x: Float64Array; x0?: Float64Array } = { x: noise(0) };
  stepCoefficients(times, prediction, settings).forEach((step, i) => {
    state = referenceStep(state.x, m, state.x0, noise(i + 1), step, settings.thresholding);
  });
  return state.x;
}
