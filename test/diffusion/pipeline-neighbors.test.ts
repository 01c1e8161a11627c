// Neighbours for pipelines of public models: whole drawings against the formulas, what must change the picture and what must not, and what is refused.
import { beforeAll, describe, expect, it } from "vitest";
import type { NeighborPicture } from "../../src/diffusion/neighbors.ts";
import { generateCascade } from "../../src/diffusion/pipeline/cascade.ts";
import { readPipeline } from "../../src/diffusion/pipeline/definition.ts";
import type { PipelineClass } from "../../src/diffusion/pipeline/model-index.ts";
import { unetPart } from "../../src/diffusion/pipeline/parts.ts";
import { openPipeline, type Pipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import type { PipelineRequest } from "../../src/diffusion/pipeline/request.ts";
import type { ErrorCode } from "../../src/errors.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import { subfolder } from "../../src/io/folder.ts";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { vaeTensorName } from "../../src/models/diffusers/vae.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { ownGpu, testGpu } from "../gpu.ts";
import { someTraits } from "../graph/graphs.ts";
import { runUnet } from "../models/run_diffusers.ts";
import { relativeError } from "../ops/harness.ts";
import { type Files, memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";
import { shownNeighbors, somePicture } from "./shown-neighbors.ts";
import { expectError } from "./tiny-engine.ts";

const folders = new Map<PipelineClass, Files>();
const kinds = ["StableDiffusionPipeline", "IFPipeline", "IFSuperResolutionPipeline"] as const;
beforeAll(async () => {
  for (const kind of kinds) folders.set(kind, await tinyPipeline(kind));
});
const folder = (kind: PipelineClass) => memoryFolder(kind, folders.get(kind)!);

const red: NeighborPicture = { picture: somePicture(1), caption: "a red cat" };
const blue: NeighborPicture = { picture: somePicture(2, 9, 30), caption: "a blue dog" };
const quick = { prompt: "a red fox", steps: 2, seed: 5 };

/** Opens, draws, disposes; nothing may stay on the device. */
async function using<T>(
  kind: PipelineClass,
  use: (pipeline: Pipeline) => Promise<T>,
  options: object = { keep: true },
) {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const pipeline = await openPipeline(gpu, folder(kind), options);
  try {
    return await use(pipeline);
  } finally {
    pipeline.dispose();
    expect(gpu.allocatedBytes).toBe(before);
  }
}

/** x after the last step. */
async function drawn(pipeline: Pipeline, request: Partial<PipelineRequest>): Promise<Float32Array> {
  const states: Float32Array[] = [];
  const onStep = async (_: number, __: number, generation: { values(): Promise<Float32Array> }) =>
    void states.push(await generation.values());
  await pipeline.generate({ ...quick, ...request }, { onStep });
  return states.at(-1)!;
}

describe("Stable Diffusion", () => {
  it("draws what interleaved guidance and DDIM make of the U-Net's answers, with two neighbours, with one or the other left out", async () => {
    const neighbors = [red, blue];
    const guidance = { eta: 0.5, gammaP: 4, gammaN: 2 };
    const { x: actual, expected } = await using("StableDiffusionPipeline", async (pipeline) => {
      const x = await drawn(pipeline, { neighbors, guidance });
      const { states, tokens } = await pipeline.encode(quick.prompt, "", {}, ["a red cat", "a blue dog"]);
      const { unet, scheduler } = pipeline.definition;
      const { alphaSquared } = scheduler().schedule;
      const off = [...alphaSquared].map((square) => Math.abs(Math.sqrt(1 - square) - 0.1));
      const time = off.indexOf(Math.min(...off));
      const pictures = [somePicture(1), somePicture(2, 9, 30)];
      const given = folder("StableDiffusionPipeline");
      const shown = await shownNeighbors(pipeline, given, pictures, states, { levels: [1, 2], time });
      const extent = [16, 16, 4];
      const key = { shape: [1, 4], data: Float64Array.of(quick.seed, 0, 0, 0) };
      let state = randomNormal.reference(
        [key],
        { shape: [1, ...extent], dtype: "f32" },
        { shape: extent },
      ) as Float64Array;
      const [prompt, empty] = [0, 1].map((row) => ({ row, length: tokens, neighbors: 2 }));
      for (const { t, next, base, weight } of [
        { t: 501, next: 1, base: { ...prompt!, neighbors: 0 }, weight: 2 },
        { t: 1, next: 0, base: empty!, weight: 4 },
      ]) {
        const answers = await runUnet({
          config: unet,
          checkpoint: await openCheckpoint(subfolder(given, "unet")),
          ...{ storage: "f32", size: [16, 16], texts: [2, tokens], time: Float32Array.of(t) },
          sample: Float32Array.from([...state, ...state]),
          text: states.slice(0, (2 * states.length) / 4),
          shown: [prompt!, base],
          neighbors: shown,
        });
        const [a, b] = [alphaSquared[t]!, alphaSquared[next]!];
        state = state.map((value, i) => {
          const [both, less] = [answers[i]!, answers[state.length + i]!];
          const noise = less + weight * (both - less);
          return Math.sqrt(b) * ((value - Math.sqrt(1 - a) * noise) / Math.sqrt(a)) + Math.sqrt(1 - b) * noise;
        });
      }
      return { x, expected: state };
    });
    const error = relativeError(actual, expected);
    console.info(`a whole drawing with two neighbours: relative L2 error ${error.toExponential(1)}`);
    expect(error).toBeLessThan(2e-4);
  });

  it("is another picture with another neighbour, caption, noise or level, and without what guidance leaves out the plain one", async () => {
    await using("StableDiffusionPipeline", async (pipeline) => {
      const with1 = (change: Partial<PipelineRequest>) => drawn(pipeline, { neighbors: [red], ...change });
      const one = await with1({});
      const changes: Partial<PipelineRequest>[] = [
        { neighbors: [{ ...red, picture: blue.picture }] },
        { neighbors: [{ ...red, caption: "blue" }] },
        { neighborNoise: 0.7 },
        { neighborLevels: [0, 2] },
        { guidance: { eta: 0 } },
        { guidance: { mode: "entangled" } },
      ];
      for (const change of changes) expect(relativeError(await with1(change), one)).toBeGreaterThan(1e-4);
      const two = await drawn(pipeline, { neighbors: [red, blue] });
      expect(relativeError(two, one)).toBeGreaterThan(1e-4);
      expect(relativeError(await drawn(pipeline, { neighbors: [blue, red] }), two)).toBeLessThan(1e-4);
      // Weights of nothing leave nothing but the base: without text and neighbours, or without neighbours.
      const bare = await with1({ guidance: { mode: "entangled", gammaP: 0 } });
      expect(relativeError(bare, await drawn(pipeline, { gamma: 0 }))).toBeLessThan(1e-5);
      const textAlone = await with1({ guidance: { mode: "neighbor-only", gammaN: 0 } });
      expect(relativeError(textAlone, await drawn(pipeline, { guidance: { mode: "none" } }))).toBeLessThan(1e-5);
    });
  });

  it("draws the same for a seed, alone or in a batch, of any proportions, also where the seed chooses the steps", async () => {
    await using("StableDiffusionPipeline", async (pipeline) => {
      const request = { size: { width: 48, height: 32 }, neighbors: [red], guidance: { choice: "random" as const } };
      const two = await pipeline.generate({ ...quick, ...request, pictures: 2 });
      const second = await pipeline.generate({ ...quick, ...request, seed: quick.seed + 1 });
      expect(second.pictures[0]!.pixels).toEqual(two.pictures[1]!.pixels);
      expect(second.settings.guidance).toMatchObject({
        mode: "interleaved",
        choice: "random",
        eta: 0.5,
        gammaP: 7.5,
        gammaN: 3,
      });
    });
  });

  it("draws nearly the same in half precision, and with a neighbour alone to go by", async () => {
    const request = { neighbors: [red, blue], guidance: { gammaP: 2, gammaN: 2 } };
    const single = await using("StableDiffusionPipeline", (pipeline) => drawn(pipeline, request));
    const half = await using("StableDiffusionPipeline", (pipeline) => drawn(pipeline, request), { storage: "f16" });
    expect(relativeError(half, single)).toBeGreaterThan(0);
    expect(relativeError(half, single)).toBeLessThan(0.02);
    await using("StableDiffusionPipeline", async (pipeline) => {
      const { pictures } = await pipeline.generate({ ...quick, prompt: "", neighbors: [red] });
      expect(pictures).toHaveLength(1);
    });
  });
});

it("what neighbours have to say is computed once a request: a step has no dispatch more than without them", async () => {
  for (const kind of ["StableDiffusionPipeline", "IFPipeline"] as const) {
    const { unet } = await readPipeline(folder(kind));
    const part = unetPart(unet, false, { activations: "f32", weights: "f32" });
    const count = (shape: object) => {
      const { schedule } = compileGraph(part.graph({ ...part.probe, height: 16, width: 16, ...shape }), someTraits());
      return [schedule.request.length, schedule.step.length] as const;
    };
    const [alone, step] = count({});
    const [request, same] = count({ neighbors: { count: 3, side: 8, levels: [1, 2] } });
    expect(same).toBe(step);
    expect(request).toBeGreaterThan(alone + step / 2);
  }
});

describe("DeepFloyd IF", () => {
  it("shows neighbours to the first stage, in pixels, and its second stage reads no text anew", async () => {
    const gpu = await testGpu();
    const first = await openPipeline(gpu, folder("IFPipeline"));
    const second = await openPipeline(gpu, folder("IFSuperResolutionPipeline"), { after: first });
    const loaded: string[] = [];
    const onLoad = (part: string, bytes: number, all: number) => void (bytes === all && loaded.push(part));
    const request = { ...quick, neighbors: [red], guidance: { mode: "neighbor-only" as const } };
    const { values, warnings } = await generateCascade([first, second], request, { onLoad });
    expect(loaded).toEqual(["text_encoder", "unet", "unet"]);
    expect([values.width, values.height, warnings]).toEqual([32, 32, []]);
    const other = await generateCascade([first, second], { ...request, neighbors: [blue] });
    expect(relativeError(other.values.values, values.values)).toBeGreaterThan(1e-3);
    const long = { ...red, caption: "a red cat ".repeat(30) };
    const told = await first.generate({ ...quick, neighbors: [blue, long] });
    expect(told.warnings.join()).toMatch(/^the caption of neighbour 2 is longer than 76 tokens; left out: /);
    for (const pipeline of [first, second]) pipeline.dispose();
  });
});

it("a device of ours that is lost at a step is replaced, and the same picture comes", async () => {
  const gpu = await ownGpu();
  const pipeline = await openPipeline(gpu, folder("StableDiffusionPipeline"));
  const request = { ...quick, neighbors: [red] };
  const whole = await pipeline.generate(request);
  let lost = false;
  const mended = await pipeline.generate(request, {
    onStep(done) {
      if (done === 1 && !lost) gpu.device.destroy();
      lost = true;
    },
  });
  expect(mended.pictures[0]!.pixels).toEqual(whole.pictures[0]!.pixels);
  pipeline.dispose();
  gpu.dispose();
});

describe("what is asked for in vain is told in a sentence", () => {
  const low = { width: 8, height: 8, values: new Float32Array(192) };
  it.each<[string, PipelineClass, Partial<PipelineRequest>, ErrorCode, RegExp]>([
    [
      "too many",
      "IFPipeline",
      { neighbors: new Array(9).fill(red) },
      "argument",
      /at most 8 neighbours are possible, got 9/,
    ],
    [
      "neighbours of an upscaler",
      "IFSuperResolutionPipeline",
      { low, neighbors: [red] },
      "argument",
      /is an upscaler: neighbours are for the stage that draws its smaller picture/,
    ],
    [
      "a level that does not attend",
      "IFPipeline",
      { neighbors: [red], neighborLevels: [0, 1] },
      "argument",
      /neighbours can join levels 1, 2 of IFPipeline, got 0/,
    ],
    [
      "no level",
      "IFPipeline",
      { neighbors: [red], neighborLevels: [] },
      "argument",
      /levels 1, 2 of IFPipeline, got none/,
    ],
    [
      "too much noise",
      "IFPipeline",
      { neighbors: [red], neighborNoise: 2 },
      "argument",
      /neighbour noise must be in \[0, 1\], got 2/,
    ],
    [
      "guidance by neighbours that there are not",
      "IFPipeline",
      { guidance: { mode: "neighbor-only" } },
      "argument",
      /needs at least one neighbour, got none/,
    ],
    [
      "a picture without pixels",
      "StableDiffusionPipeline",
      { neighbors: [{ picture: { width: 0, height: 3, pixels: new Uint8Array() }, caption: "" }] },
      "picture",
      /neighbour 1 is a picture without pixels/,
    ],
  ])("%s", async (_, kind, change, code, message) => {
    const pipeline = await openPipeline(await testGpu(), folder(kind));
    const { allocatedBytes } = pipeline.gpu;
    await expectError(pipeline.generate({ ...quick, ...change }), code, message);
    expect(pipeline.gpu.allocatedBytes).toBe(allocatedBytes);
    pipeline.dispose();
  });

  it("an autoencoder that holds its decoder alone, where neighbours need the other half; and the pipeline draws on", async () => {
    const files = new Map(folders.get("StableDiffusionPipeline")!);
    const path = "vae/diffusion_pytorch_model.safetensors";
    const whole = await openSafetensors(bytesSource(path, files.get(path)!));
    const kept = [...whole.tensors.values()].filter(({ name }) => vaeTensorName("decoder", name) !== undefined);
    const tensors = [];
    for (const { name, dtype, shape } of kept) tensors.push({ name, dtype, shape, bytes: await whole.read(name) });
    files.set(path, writeSafetensors(tensors));
    const pipeline = await openPipeline(await testGpu(), memoryFolder("sd", files));
    await expectError(pipeline.generate({ ...quick, neighbors: [red] }), "tensor", /sd\/vae.* has no tensor encoder\./);
    expect((await pipeline.generate(quick)).pictures).toHaveLength(1);
    pipeline.dispose();
  });
});
