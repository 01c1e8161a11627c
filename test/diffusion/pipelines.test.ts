// Pipelines of public models from their folders: whole drawings against the published formulas, determinism, batches, abortion, loss of the device.
import { beforeAll, describe, expect, it } from "vitest";
import { generateCascade } from "../../src/diffusion/pipeline/cascade.ts";
import { readPipeline } from "../../src/diffusion/pipeline/definition.ts";
import type { PipelineClass } from "../../src/diffusion/pipeline/model-index.ts";
import { openPipeline, type Pipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import { selectTensors } from "../../src/io/checkpoint.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { vaeDecoder, vaeTensorName } from "../../src/models/diffusers/vae.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { ownGpu, testGpu } from "../gpu.ts";
import { runGraph, runUnet } from "../models/run_diffusers.ts";
import { relativeError } from "../ops/harness.ts";
import { type Files, memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";
import { expectError } from "./tiny-engine.ts";

const folders = new Map<PipelineClass, Files>();
beforeAll(async () => {
  for (const kind of [
    "StableDiffusionPipeline",
    "StableDiffusionUpscalePipeline",
    "IFPipeline",
    "IFSuperResolutionPipeline",
  ] as const)
    folders.set(kind, await tinyPipeline(kind));
});
const folder = (kind: PipelineClass) => memoryFolder(kind, folders.get(kind)!);
const quick = { prompt: "a red fox", steps: 3, seed: 5 };

/** Opens, draws, disposes; nothing may stay on the device. */
async function using<T>(kinds: readonly PipelineClass[], use: (...pipelines: [Pipeline, ...Pipeline[]]) => Promise<T>) {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const pipelines: Pipeline[] = [];
  for (const kind of kinds)
    pipelines.push(await openPipeline(gpu, folder(kind), pipelines.length > 0 ? { after: pipelines[0]! } : {}));
  expect(gpu.allocatedBytes).toBe(before);
  try {
    return await use(...(pipelines as [Pipeline, ...Pipeline[]]));
  } finally {
    for (const pipeline of pipelines) pipeline.dispose();
    expect(gpu.allocatedBytes).toBe(before);
  }
}

/** The first noise of a seed, by the generator's definition. */
function noiseOf(seed: number, shape: readonly number[], step = 0): Float64Array {
  const key = { shape: [1, 4], data: Float64Array.of(seed, 0, step, 0) };
  return randomNormal.reference([key], { shape: [1, ...shape], dtype: "f32" }, { shape }) as Float64Array;
}

describe("Stable Diffusion", () => {
  it("draws what DDIM's published formula makes of the U-Net's answers, with guidance, and the decoder of that", async () => {
    const { values, text } = await using(["StableDiffusionPipeline"], async (pipeline) => ({
      values: (await pipeline.generate({ ...quick, gamma: 4 })).values,
      text: await pipeline.encode(quick.prompt, ""),
    }));
    const files = folders.get("StableDiffusionPipeline")!;
    const definition = await readPipeline(folder("StableDiffusionPipeline"));
    const open = async (part: string) => {
      const bytes = files.get(`${part}/diffusion_pytorch_model.safetensors`)!;
      return openSafetensors({ name: part, size: bytes.length, read: async (at, n) => bytes.subarray(at, at + n) });
    };
    const checkpoint = await open("unet");
    // Song et al., 2020, equation 12 with sigma = 0, over "leading" timesteps with an offset of 1.
    const betas = Array.from({ length: 1000 }, (_, i) => {
      const root = Math.sqrt(0.00085) + (i / 999) * (Math.sqrt(0.012) - Math.sqrt(0.00085));
      return root * root;
    });
    let product = 1;
    const alphas = betas.map((beta) => {
      product *= 1 - beta;
      return product;
    });
    const times = [667, 334, 1];
    let x = noiseOf(quick.seed, [16, 16, 4]);
    for (const [i, time] of times.entries()) {
      const evaluated = await runUnet({
        config: definition.unet,
        checkpoint,
        storage: "f32",
        size: [16, 16],
        sample: Float32Array.from([...x, ...x]),
        time: Float32Array.of(time),
        text: text.states,
        texts: [2, text.tokens],
      });
      const half = evaluated.length / 2;
      const now = alphas[time]!;
      const next = i + 1 < times.length ? alphas[times[i + 1]!]! : alphas[0]!;
      x = x.map((value, at) => {
        const [shown, blank] = [evaluated[at]!, evaluated[half + at]!];
        const noise = blank + 4 * (shown - blank);
        const clean = (value - Math.sqrt(1 - now) * noise) / Math.sqrt(now);
        return Math.sqrt(next) * clean + Math.sqrt(1 - next) * noise;
      });
    }
    const vae = definition.vae!;
    const decoded = await runGraph(
      "f32",
      selectTensors(await open("vae"), (name) => vaeTensorName("decoder", name)),
      (g) => vaeDecoder(g, vae, g.input("latents", [1, 16, 16, 4], "request")),
      new Map([["latents", Float32Array.from(x, (value) => value / 0.18215)]]),
    );
    const error = relativeError(values.values, decoded);
    console.info(`a whole drawing of Stable Diffusion: relative L2 error ${error.toExponential(1)}`);
    expect(error).toBeLessThan(2e-4);
    expect([values.width, values.height]).toEqual([64, 64]);
  });

  it("draws the same for a seed, alone or in a batch, in any proportions", async () => {
    await using(["StableDiffusionPipeline"], async (pipeline) => {
      const request = { ...quick, steps: 2, size: { width: 48, height: 32 } };
      const two = await pipeline.generate({ ...request, pictures: 2 });
      const second = await pipeline.generate({ ...request, seed: quick.seed + 1 });
      expect([second.pictures[0]!.width, second.pictures[0]!.height]).toEqual([48, 32]);
      expect(second.pictures[0]!.pixels).toEqual(two.pictures[1]!.pixels);
      expect(second.pictures[0]!.pixels).not.toEqual(two.pictures[0]!.pixels);
      const away = await pipeline.generate({ ...request, seed: quick.seed + 1, negative: "blue" });
      expect(away.pictures[0]!.pixels).not.toEqual(second.pictures[0]!.pixels);
    });
  });

  it("draws nearly the same with weights of 16 and of 8 bits", async () => {
    const gpu = await testGpu();
    const draw = async (options: Parameters<typeof openPipeline>[2]) => {
      const pipeline = await openPipeline(gpu, folder("StableDiffusionPipeline"), options);
      const { values } = await pipeline.generate({ ...quick, steps: 2, gamma: 1 });
      pipeline.dispose();
      return values.values;
    };
    const exact = await draw({});
    expect(relativeError(await draw({ storage: "f16" }), exact)).toBeLessThan(0.02);
    expect(relativeError(await draw({ weights: "f16" }), exact)).toBeLessThan(0.02);
    const rough = relativeError(await draw({ weights: "q8" }), exact);
    expect(rough).toBeGreaterThan(0);
    expect(rough).toBeLessThan(0.1);
  });

  it("uses another sampler where the folder's is unknown, and says so", async () => {
    const files = new Map(folders.get("StableDiffusionPipeline")!);
    const config = new TextDecoder().decode(files.get("scheduler/scheduler_config.json")!);
    files.set(
      "scheduler/scheduler_config.json",
      new TextEncoder().encode(config.replace("DDIMScheduler", "HeunDiscreteScheduler")),
    );
    const pipeline = await openPipeline(await testGpu(), memoryFolder("sd", files));
    const { settings, warnings } = await pipeline.generate(quick);
    expect(settings.sampler).toBe("dpm-solver++");
    expect(warnings.join()).toContain("is not supported: dpm-solver++ steps on its noise schedule instead");
    expect((await pipeline.generate({ ...quick, sampler: "ddim" })).warnings).toEqual([]);
    pipeline.dispose();
  });
});

describe("DeepFloyd IF", () => {
  it("draws in pixels, which can be looked at on the way, and is enlarged twice", async () => {
    const kinds = ["IFPipeline", "IFSuperResolutionPipeline", "StableDiffusionUpscalePipeline"] as const;
    await using(kinds, async (first, second, third) => {
      const seen: number[] = [];
      const loaded = new Set<string>();
      const options = {
        onLoad: (part: string) => void loaded.add(part),
        onStep: async (
          done: number,
          _: number,
          generation: { readonly width: number; read(what: "estimate"): unknown },
        ) => {
          if (generation.width === 16) expect(await generation.read("estimate")).toHaveLength(1);
          seen.push(done);
        },
      };
      const result = await generateCascade([first, second!, third!], { ...quick, steps: 2 }, options);
      expect([result.pictures[0]!.width, result.pictures[0]!.height]).toEqual([128, 128]);
      expect([...loaded]).toEqual(["text_encoder", "unet", "vae"]);
      expect(result.values.values.every(Number.isFinite)).toBe(true);
      const again = await generateCascade([first, second!, third!], { ...quick, steps: 2 });
      expect(again.pictures[0]!.pixels).toEqual(result.pictures[0]!.pixels);
    });
  });
});

describe("what is asked for in vain is told in a sentence", () => {
  it.each<[string, PipelineClass, object, string]>([
    ["nothing", "StableDiffusionPipeline", { prompt: " " }, "there is nothing to draw"],
    [
      "a size between pixels of the latent",
      "StableDiffusionPipeline",
      { size: { width: 50, height: 64 } },
      "must be multiples of 4, got 50x64",
    ],
    ["a size that cannot be halved", "IFPipeline", { size: { width: 18, height: 16 } }, "must be multiples of 4"],
    ["no smaller picture", "IFSuperResolutionPipeline", {}, "is an upscaler: it needs a smaller picture"],
    [
      "a smaller picture",
      "IFPipeline",
      { low: { width: 1, height: 1, values: new Float32Array(3) } },
      "cannot start from a smaller picture",
    ],
    [
      "too much noise",
      "StableDiffusionUpscalePipeline",
      { noiseLevel: 1000, low: { width: 8, height: 8, values: new Float32Array(192) } },
      "noise level must be a whole number in [0, 999]",
    ],
    ["too many steps", "IFPipeline", { steps: 1001 }, "steps must be a whole number in [1, 1000]"],
  ])("%s", async (_, kind, change, message) => {
    const pipeline = await openPipeline(await testGpu(), folder(kind));
    await expect(pipeline.generate({ ...quick, ...change })).rejects.toThrow(message);
    pipeline.dispose();
  });

  it("a stop, at the next step, and the pipeline draws on", async () => {
    await using(["StableDiffusionPipeline"], async (pipeline) => {
      const stop = new AbortController();
      const options = { signal: stop.signal, onStep: () => stop.abort() };
      await expectError(pipeline.generate(quick, options), "aborted", /was aborted after step 1 of 3/);
      expect((await pipeline.generate(quick)).pictures).toHaveLength(1);
    });
  });
});

it("a device of ours that is lost at a step is replaced, and the same picture comes", async () => {
  const gpu = await ownGpu();
  const pipeline = await openPipeline(gpu, folder("StableDiffusionPipeline"));
  const whole = await pipeline.generate(quick);
  let lost = false;
  const mended = await pipeline.generate(quick, {
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
