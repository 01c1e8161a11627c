// PNDM as Stable Diffusion's folders ask for it, against Liu et al. (2022) written out: their transfer, and the answers' extrapolation with a list of them.
import { expect, it } from "vitest";
import { readPipeline } from "../../src/diffusion/pipeline/definition.ts";
import { openPipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import { referenceStep } from "../../src/diffusion/reference.ts";
import { stepCoefficients } from "../../src/diffusion/samplers.ts";
import { readScheduler } from "../../src/diffusion/scheduler-config.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { testGpu } from "../gpu.ts";
import { runUnet } from "../models/run_diffusers.ts";
import { relativeError } from "../ops/harness.ts";
import { memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";
import { largestError, recordedModel } from "./recorded-runs.ts";

/** Stable Diffusion 1.5's. */
const config = {
  _class_name: "PNDMScheduler",
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  num_train_timesteps: 1000,
  set_alpha_to_one: false,
  skip_prk_steps: true,
  steps_offset: 1,
};

const signal = (() => {
  let product = 1;
  return Array.from({ length: 1000 }, (_, i) => {
    const root = Math.sqrt(0.00085) + (i / 999) * (Math.sqrt(0.012) - Math.sqrt(0.00085));
    product *= 1 - root * root;
    return product;
  });
})();

type Answer = (x: Float64Array, time: number) => Float64Array | Promise<Float64Array>;

/** Every time asked, and every x from the first on. */
async function published(
  start: Float64Array,
  steps: number,
  answer: Answer,
): Promise<{ times: number[]; path: Float64Array[] }> {
  const stride = Math.floor(1000 / steps);
  const times: number[] = [];
  const path = [start];
  const ask = (x: Float64Array, time: number) => {
    times.push(time);
    return answer(x, time);
  };
  /** Equation 11, by the noise `e`. */
  const transfer = (x: Float64Array, e: Float64Array, from: number) => {
    const [now, next] = [signal[from]!, signal[Math.max(0, from - stride)]!];
    return x.map((value, i) => {
      const clean = (value - Math.sqrt(1 - now) * e[i]!) / Math.sqrt(now);
      return Math.sqrt(next) * clean + Math.sqrt(1 - next) * e[i]!;
    });
  };
  const mixed = (answers: readonly Float64Array[], weights: readonly number[]) =>
    answers[0]!.map((_, i) => weights.reduce((sum, weight, k) => sum + weight * answers[k]![i]!, 0));
  const answers: Float64Array[] = [];
  const first = stride * (steps - 1) + 1;
  for (let time = first; time > 0; time -= stride) {
    const x = path.at(-1)!;
    answers.unshift(await ask(x, time));
    if (time === first) {
      path.push(transfer(x, answers[0]!, time));
      if (steps === 1) break;
      const end = await ask(path[1]!, time - stride);
      path.push(transfer(x, mixed([answers[0]!, end], [1 / 2, 1 / 2]), time));
    } else {
      const weights = [[1], [1], [3, -1], [23, -16, 5], [55, -59, 37, -9]][Math.min(answers.length, 4)]!;
      const whole = weights.reduce((sum, weight) => sum + weight, 0);
      const share = weights.map((weight) => weight / whole);
      path.push(transfer(x, mixed(answers, share), time));
    }
  }
  return { times, path };
}

const noise = (shape: readonly number[]) => {
  const key = { shape: [1, 4], data: Float64Array.of(5, 0, 0, 0) };
  return randomNormal.reference([key], { shape: [1, ...shape], dtype: "f32" }, { shape: [...shape] }) as Float64Array;
};

it.each([1, 2, 3, 4, 5, 7, 50])("%i steps lead where the paper's formulas do", async (count) => {
  const { schedule, prediction, sampler } = readScheduler("scheduler_config.json", JSON.stringify(config));
  const steps = stepCoefficients(schedule, prediction, { ...sampler, steps: count });
  const { times, path } = await published(noise([4, 4, 4]), count, recordedModel);
  expect(steps.map(({ timestep }) => timestep)).toEqual(times);
  let x = path[0]!;
  const earlier: Float64Array[] = [];
  for (const [i, step] of steps.entries()) {
    const m = recordedModel(x, step.timestep);
    x = referenceStep(x, m, undefined, undefined, step, { kind: "none" }, undefined, earlier).x;
    earlier.unshift(m);
    expect(largestError(x, [...path[i + 1]!]), `after step ${i + 1}`).toBeLessThan(1e-12);
  }
});

it("keeps the width of Gaussian pictures better than DDIM does with as many evaluations", () => {
  // For pictures of deviation 2 the exact model is linear, and so is the whole way.
  const width = (time: number) => Math.sqrt(signal[time]! * 4 + 1 - signal[time]!);
  const stray = (sampler: "ddim" | "pndm", count: number) => {
    const { schedule, prediction, ...read } = readScheduler("scheduler_config.json", JSON.stringify(config), sampler);
    const options = { ...read.sampler, spacing: "leading", setAlphaToOne: false, steps: count } as const;
    const steps = stepCoefficients(schedule, prediction, options);
    let x: Float64Array = Float64Array.of(width(steps[0]!.timestep));
    const earlier: Float64Array[] = [];
    for (const step of steps) {
      const m = x.map((value) => (value * Math.sqrt(1 - signal[step.timestep]!)) / width(step.timestep) ** 2);
      x = referenceStep(x, m, undefined, undefined, step, { kind: "none" }, undefined, earlier).x;
      earlier.unshift(m);
    }
    return Math.abs(x[0]! - width(0));
  };
  expect(stray("pndm", 20)).toBeLessThan(stray("ddim", 21) / 2);
});

it("a folder of Stable Diffusion is drawn by it on the device, from the U-Net's own answers", async () => {
  const files = await tinyPipeline("StableDiffusionPipeline");
  files.set("scheduler/scheduler_config.json", new TextEncoder().encode(JSON.stringify(config)));
  const folder = memoryFolder("sd", files);
  const pipeline = await openPipeline(await testGpu(), folder);
  const drawn: Float32Array[] = [];
  const { warnings, settings } = await pipeline.generate(
    { prompt: "a red fox", steps: 6, seed: 5, gamma: 4 },
    { onStep: async (_, __, generation) => void drawn.push((await generation.values()).slice()) },
  );
  expect([warnings, settings.sampler]).toEqual([[], "pndm"]);
  const text = await pipeline.encode("a red fox", "");
  pipeline.dispose();
  const { unet } = await readPipeline(folder);
  const bytes = files.get("unet/diffusion_pytorch_model.safetensors")!;
  const source = {
    name: "unet",
    size: bytes.length,
    read: async (at: number, n: number) => bytes.subarray(at, at + n),
  };
  const checkpoint = await openSafetensors(source);
  const { path } = await published(noise([16, 16, 4]), 6, async (x, time) => {
    const evaluated = await runUnet({
      config: unet,
      checkpoint,
      storage: "f32",
      size: [16, 16],
      sample: Float32Array.from([...x, ...x]),
      time: Float32Array.of(time),
      text: text.states,
      texts: [2, text.tokens],
    });
    return x.map((_, i) => evaluated[x.length + i]! + 4 * (evaluated[i]! - evaluated[x.length + i]!));
  });
  expect(drawn).toHaveLength(7);
  const worst = Math.max(...drawn.map((x, i) => relativeError(x, path[i + 1]!)));
  console.info(`PNDM on the device: relative L2 error ${worst.toExponential(1)} at most`);
  expect(worst).toBeLessThan(2e-4);
});

it("asks for no Runge-Kutta steps at the start: those are refused by name", () => {
  const { skip_prk_steps: _, ...other } = config;
  expect(() => readScheduler("scheduler_config.json", JSON.stringify(other))).toThrow(/skip_prk_steps/);
});
