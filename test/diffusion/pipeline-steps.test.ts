// The first step of pipelines, guidance and an upscaler's smaller picture included, against the published formulas in f64 on the U-Net's own answers.
import { expect, it } from "vitest";
import type { PipelineDefinition } from "../../src/diffusion/pipeline/definition.ts";
import type { PipelineClass } from "../../src/diffusion/pipeline/model-index.ts";
import { openPipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import type { LowPictures, PipelineRequest } from "../../src/diffusion/pipeline/request.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import { subfolder } from "../../src/io/folder.ts";
import type { Picture } from "../../src/io/picture.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { testGpu } from "../gpu.ts";
import { runUnet } from "../models/run_diffusers.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";
import { shownNeighbors, somePicture } from "./shown-neighbors.ts";

const seed = 5;
const gamma = 3;

/** Normals of the seed by the generator's definition; `use`: 0 for the first noise, then steps, the last for the smaller picture. */
function noiseOf(shape: readonly number[], use = 0): Float64Array {
  const key = { shape: [1, 4], data: Float64Array.of(seed, 0, use, 0) };
  return randomNormal.reference([key], { shape: [1, ...shape], dtype: "f32" }, { shape }) as Float64Array;
}

interface Step {
  readonly definition: PipelineDefinition;
  /** x after the first step of two. */
  readonly state: Float32Array;
  /** The model's answer at that step, with the text and without it, [H, W, outputs]. */
  readonly shown: Float32Array;
  readonly blank: Float32Array;
  /** x before it, [H, W, C]. */
  readonly x: Float64Array;
}

/** The first step, and what the U-Net says of x beside `low` [H, W, 3]. */
async function firstStep(
  kind: PipelineClass,
  extent: readonly [height: number, width: number, channels: number],
  time: number,
  request: Partial<PipelineRequest>,
  low?: Float64Array,
  level?: Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  tile?: number,
): Promise<Step> {
  const folder = memoryFolder(kind, await tinyPipeline(kind));
  const pipeline = await openPipeline(await testGpu(), folder, tile ? { tile } : {});
  const states: Float32Array[] = [];
  const onStep = async (_: number, __: number, generation: { values(): Promise<Float32Array> }) =>
    void states.push(await generation.values());
  await pipeline.generate({ prompt: "a red fox", seed, steps: 2, gamma, ...request }, { onStep });
  const { neighbors = [] } = request;
  const captions = neighbors.map(({ caption }) => caption);
  const text = await pipeline.encode("a red fox", "", {}, captions);
  const { definition } = pipeline;
  const pictures = neighbors.map(({ picture }) => picture as Picture);
  // Sigma is 0.1 at time 56.
  const joined = { levels: [1, 2], time: 56 };
  const [height, width, channels] = extent;
  const x = noiseOf(extent);
  const others =
    pictures.length > 0 ? await shownNeighbors(pipeline, folder, pictures, text.states, joined) : undefined;
  const checkpoint = await openCheckpoint(subfolder(folder, "unet"));
  /** Answers for the pixels from (top, left), with the text and without it. */
  const evaluate = async (top: number, left: number, rows: number, columns: number) => {
    const pixels = Array.from({ length: rows * columns }, (_, i) => {
      const at = (top + Math.floor(i / columns)) * width + left + (i % columns);
      return [...x.subarray(at * channels, (at + 1) * channels), ...(low?.subarray(at * 3, (at + 1) * 3) ?? [])];
    });
    const evaluated = await runUnet({
      config: definition.unet,
      checkpoint,
      storage: "f32",
      size: [rows, columns],
      sample: Float32Array.from([...pixels, ...pixels].flat()),
      time: Float32Array.of(time),
      text: text.states.slice(0, 2 * text.tokens * definition.unet.text.inputs),
      texts: [2, text.tokens],
      ...(others && { neighbors: others }),
      ...(level && { classes: level }),
    });
    const half = evaluated.length / 2;
    return [evaluated.subarray(0, half), evaluated.subarray(half)] as const;
  };
  const [shown, blank] = tile ? await inTiles(evaluate, height, width, tile) : await evaluate(0, 0, height, width);
  return { definition, state: states[0]!, shown, blank, x };
}

/** Answers for overlapping squares, averaged with weights that fall linearly towards a square's end where another one follows. */
async function inTiles(
  evaluate: (
    top: number,
    left: number,
    rows: number,
    columns: number,
  ) => Promise<readonly [Float32Array, Float32Array]>,
  height: number,
  width: number,
  side: number,
): Promise<[Float32Array, Float32Array]> {
  const starts = (extent: number) => (extent > side ? [0, extent - side] : [0]);
  const weight = (at: number, start: number, extent: number) => {
    if (extent <= side) return 1;
    const shared = 2 * side - extent;
    const into = start === 0 ? side - at : at - start + 1;
    return Math.min(1, (into - 0.5) / shared);
  };
  const sums: Float32Array[] = [];
  for (const top of starts(height))
    for (const left of starts(width)) {
      const [rows, columns] = [Math.min(side, height), Math.min(side, width)];
      for (const [which, answer] of (await evaluate(top, left, rows, columns)).entries()) {
        const outputs = answer.length / rows / columns;
        sums[which] ??= new Float32Array(height * width * outputs);
        answer.forEach((value, i) => {
          const [row, column] = [top + Math.floor(i / outputs / columns), left + (Math.floor(i / outputs) % columns)];
          const share = weight(row, top, height) * weight(column, left, width);
          sums[which]![(row * width + column) * outputs + (i % outputs)]! += share * value;
        });
      }
    }
  return [sums[0]!, sums[1]!];
}

/** Ho et al., 2020, equation 7, from `time` to 0, of x0 by dynamic thresholding, with the variance of Nichol & Dhariwal, 2021, equation 15. */
function ddpm({ definition, shown, blank, x }: Step, time: number, extent: readonly number[]): Float64Array {
  const { alphaSquared } = definition.scheduler().schedule;
  const [a, aNext] = [alphaSquared[time]!, alphaSquared[0]!];
  const beta = 1 - a / aNext;
  const smallest = (beta * (1 - aNext)) / (1 - a);
  const place = (i: number) => Math.floor(i / 3) * 6 + (i % 3);
  const estimates = x.map((value, i) => {
    const noise = blank[place(i)]! + gamma * (shown[place(i)]! - blank[place(i)]!);
    return (value - Math.sqrt(1 - a) * noise) / Math.sqrt(a);
  });
  const scale = Math.min(Math.max(quantileOf(estimates.map(Math.abs), 0.95), 1), 1.5);
  const drawn = noiseOf(extent, 1);
  return x.map((value, i) => {
    const clean = Math.min(Math.max(estimates[i]!, -scale), scale) / scale;
    const mean = (Math.sqrt(aNext) * beta * clean + Math.sqrt(a / aNext) * (1 - aNext) * value) / (1 - a);
    const share = (shown[place(i) + 3]! + 1) / 2;
    const variance = Math.exp(share * Math.log(beta) + (1 - share) * Math.log(smallest));
    return mean + Math.sqrt(variance) * drawn[i]!;
  });
}

function quantileOf(values: Float64Array, p: number): number {
  const sorted = values.sort();
  const place = p * (sorted.length - 1);
  const low = Math.floor(place);
  return sorted[low]! + (place - low) * (sorted[low + 1]! - sorted[low]!);
}

/** A smaller picture. */
function smallPicture(width: number, height: number): LowPictures {
  const random = new Random(3);
  return { width, height, values: Float32Array.from({ length: width * height * 3 }, () => 2 * random.next() - 1) };
}

/** Bilinear, with the corners in place. */
function enlarged({ width: w, height: h, values }: LowPictures, height: number, width: number): Float64Array {
  return Float64Array.from({ length: height * width * 3 }, (_, i) => {
    const [row, column, channel] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3];
    const [y, x] = [(row * (h - 1)) / (height - 1), (column * (w - 1)) / (width - 1)];
    const [top, left] = [Math.min(Math.floor(y), h - 2), Math.min(Math.floor(x), w - 2)];
    const at = (r: number, c: number) => values[(r * w + c) * 3 + channel]!;
    const across = (r: number) => at(r, left) + (x - left) * (at(r, left + 1) - at(r, left));
    return across(top) + (y - top) * (across(top + 1) - across(top));
  });
}

/** Noised to a time of the pipeline's second schedule, squared cosine (Nichol & Dhariwal, 2021, equation 17). */
function noised(low: Float64Array, extent: readonly number[], level: number): Float64Array {
  const curve = (t: number) => Math.cos((((t / 1000 + 0.008) / 1.008) * Math.PI) / 2) ** 2;
  let alpha = 1;
  for (let t = 0; t <= level; t++) alpha *= 1 - Math.min(1 - curve(t + 1) / curve(t), 0.999);
  const noise = noiseOf(extent, 2 ** 32 - 1);
  return low.map((value, i) => Math.sqrt(alpha) * value + Math.sqrt(1 - alpha) * noise[i]!);
}

function expectClose(what: string, actual: Float32Array, expected: Float64Array): void {
  const error = relativeError(actual, expected);
  console.info(`${what}: relative L2 error ${error.toExponential(1)}`);
  expect(error).toBeLessThan(2e-4);
}

it("DeepFloyd IF takes a step as DDPM's formula has it, the variance being what the evaluation with the text says", async () => {
  const extent = [16, 16, 3] as const;
  const step = await firstStep("IFPipeline", extent, 500, {});
  expectClose("IF-I", step.state, ddpm(step, 500, extent));
});

it("and so with a neighbour, hardly noised, and its caption", async () => {
  const extent = [16, 16, 3] as const;
  const neighbors = [{ picture: somePicture(3), caption: "a cat" }];
  const step = await firstStep("IFPipeline", extent, 500, { neighbors, guidance: { mode: "text-only" } });
  expectClose("IF-I with a neighbour", step.state, ddpm(step, 500, extent));
});

it("its second stage sees the smaller picture enlarged and noised, and is told how much", async () => {
  const extent = [32, 24, 3] as const;
  const low = smallPicture(7, 9);
  const seen = noised(enlarged(low, 32, 24), extent, 250);
  const request = { low, size: { width: 24, height: 32 } };
  const level = Float32Array.of(250, 250);
  const step = await firstStep("IFSuperResolutionPipeline", extent, 500, request, seen, level);
  expectClose("IF-II", step.state, ddpm(step, 500, extent));
});

it("in tiles, each sees its part of the picture, and their answers are averaged where they overlap", async () => {
  const extent = [28, 24, 3] as const;
  const low = smallPicture(7, 9);
  const seen = noised(enlarged(low, 28, 24), extent, 250);
  const request = { low, size: { width: 24, height: 28 } };
  const step = await firstStep("IFSuperResolutionPipeline", extent, 500, request, seen, Float32Array.of(250, 250), 16);
  expectClose("IF-II in four tiles", step.state, ddpm(step, 500, extent));
});

it("the x4 upscaler sees the smaller picture noised beside its latents, by the row of a table", async () => {
  const extent = [12, 8, 4] as const;
  const low = smallPicture(8, 12);
  const seen = noised(Float64Array.from(low.values), [12, 8, 3], 33);
  const request = { low, noiseLevel: 33 };
  const level = Uint32Array.of(33, 33);
  const step = await firstStep("StableDiffusionUpscalePipeline", extent, 501, request, seen, level);
  const { alphaSquared } = step.definition.scheduler().schedule;
  const [a, aNext] = [alphaSquared[501]!, alphaSquared[1]!];
  // Song et al., 2020, equation 12 with sigma = 0.
  const expected = step.x.map((value, i) => {
    const noise = step.blank[i]! + gamma * (step.shown[i]! - step.blank[i]!);
    const clean = (value - Math.sqrt(1 - a) * noise) / Math.sqrt(a);
    return Math.sqrt(aNext) * clean + Math.sqrt(1 - aNext) * noise;
  });
  expectClose("x4", step.state, expected);
});
