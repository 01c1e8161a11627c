// The command line on a cascade of stages: drawing and enlarging by folders or by size, a picture to start from, and what it refuses.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodePng } from "../../src/io/png.ts";
import { tinyLastUpscaler, tinyModel, tinyUpscaler, writeModel } from "../tiny-model.ts";
import { tinyPipeline, writeFiles } from "../tiny-pipelines.ts";
import { filesIn, newFolder, reimagen, remove } from "./command-line.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  await writeModel(join(folder, "models/tiny"), tinyModel());
  await writeModel(join(folder, "models/super-64"), tinyUpscaler());
  await writeModel(join(folder, "models/super-256"), tinyLastUpscaler());
  await writeModel(join(folder, "alone/tiny"), tinyModel());
  await writeFiles(join(folder, "x4"), await tinyPipeline("StableDiffusionUpscalePipeline"));
});
afterAll(() => remove(folder));

const run = (...args: string[]) => reimagen(["generate", "a moose", ...args, "--adapter", "software"], { folder });
const read = async (file: string) => decodePng(file, await readFile(join(folder, file)));
const tiny = ["--model", "models/tiny", "--steps", "2", "--seed", "4"];

describe("reimagen generate", () => {
  it("enlarges what it drew by the stages named, or by those beside the model for a size, and says so inside", async () => {
    const folders = ["--upscale", "models/super-64", "--upscale", "models/super-256"];
    const steps = ["--upscale-steps", "2"];
    const { code, stdout, stderr } = await run(
      ...tiny,
      ...folders,
      ...steps,
      "--noise-level",
      "0.2",
      "--json",
      "-o",
      "large.png",
    );
    expect([stderr, code]).toEqual(["", 0]);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ model: "tiny", warnings: [], settings: { steps: 2, sampler: "dpm-solver++" } });
    const upscaling = { steps: 2, sampler: "ddim", guidance: { mode: "none" } };
    expect(told.stages).toMatchObject([
      { model: "tiny", settings: { steps: 2 } },
      { model: "super-64", settings: upscaling },
      { model: "super-256", settings: upscaling },
    ]);
    const large = await read("large.png");
    expect([large.picture.width, large.picture.height]).toEqual([256, 256]);
    expect(large.text).toMatchObject({ model: "tiny + super-64 + super-256", seed: "4" });
    expect(JSON.parse(large.text.upscaling!)).toMatchObject([upscaling, upscaling]);
    expect((await read("large.sheet.png")).picture.width).toBeGreaterThan(1000);

    await run(...tiny, "--size", "256", ...steps, "--noise-level", "0.2", "-o", "sized.png");
    expect((await read("sized.png")).picture.pixels).toEqual(large.picture.pixels);
    await run(...tiny, "--size", "64", ...steps, "-o", "middle.png", "--no-sheet");
    expect((await read("middle.png")).picture.width).toBe(64);
  });

  it("starts from a picture, with the stage's own settings, and draws the same in a batch", async () => {
    await run(...tiny, "-o", "small.png", "--no-sheet");
    const start = ["--model", "models/super-64", "--picture", "small.png", "--seed", "9"];
    const { stdout, stderr } = await run(...start, "--json", "-o", "enlarged.png", "-k", "1");
    expect(stderr).toBe("");
    const { settings, neighbors } = JSON.parse(stdout);
    expect(settings).toMatchObject({ sampler: "ddim", steps: 10, guidance: { mode: "none" } });
    expect(neighbors).toHaveLength(1);
    const enlarged = await read("enlarged.png");
    expect(enlarged.picture.width).toBe(64);
    // The last stage sees no neighbours, and none are looked for.
    const last = ["--model", "models/super-256", "--picture", "enlarged.png", "--steps", "1", "--no-sheet"];
    expect((await run(...last, "--pictures", "2", "-o", "two.png")).stdout).toBe("two-0.png\ntwo-1.png\n");
    await run(...last, "--seed", "1", "-o", "one.png");
    expect((await read("one.png")).picture.pixels).toEqual((await read("two-1.png")).picture.pixels);
    expect(JSON.parse((await read("one.png")).text.neighbors!)).toEqual([]);
  });

  it.each<[string, string[], number, RegExp]>([
    [
      "a size that no stage reaches",
      [...tiny, "--size", "100"],
      3,
      /tiny draws 16x16, and no super-100 lies beside it in models to reach 100x100/,
    ],
    [
      "a size where there are no stages",
      ["--model", "alone/tiny", "--size", "64"],
      3,
      /no super-64 lies beside it in alone/,
    ],
    ["a size that is no square", [...tiny, "--size", "64x32"], 2, /tiny draws squares, got 64x32/],
    ["a size and stages", [...tiny, "--size", "64", "--upscale", "models/super-64"], 2, /give it or --upscale/],
    ["a stage that is not there", [...tiny, "--upscale", "nowhere"], 3, /nowhere\/config\.json cannot be read/],
    ["a stage that does not enlarge", [...tiny, "--upscale", "models/tiny"], 2, /cannot start from a smaller picture/],
    [
      "a pipeline for a stage",
      [...tiny, "--upscale", "x4"],
      2,
      /x4 is a pipeline as diffusers saves it, and goes with such/,
    ],
    ["an upscaler and no picture", ["--model", "models/super-64"], 2, /is an upscaler: it needs a smaller picture/],
    [
      "a picture and no upscaler",
      [...tiny, "--picture", "x4/model_index.json"],
      3,
      /is not a picture that can be decoded/,
    ],
    [
      "neighbours that no stage sees",
      ["--model", "models/super-256", "-k", "1", "--picture", "small.png"],
      2,
      /sees no neighbours, got 1/,
    ],
    ["a noise level for nobody", [...tiny, "--noise-level", "0.2"], 2, /--noise-level concerns stages that enlarge/],
    ["steps for nobody", [...tiny, "--upscale-steps", "2"], 2, /--upscale-steps concerns stages behind the first/],
    ["too much noise", [...tiny, "--size", "64", "--noise-level", "2"], 2, /noise level must be in \[0, 1\], got 2/],
  ])("refuses %s, in a sentence, and writes nothing", async (_, args, code, sentence) => {
    const before = await filesIn(folder);
    const ended = await run(...args, "-o", "none.png");
    expect(ended.stderr).toMatch(/^reimagen: [^\n]+\n$/);
    expect(ended.stderr).toMatch(sentence);
    expect([ended.stdout, ended.code]).toEqual(["", code]);
    expect(await filesIn(folder)).toEqual(before);
  });
});

it("reimagen explain shows the plan of a stage that enlarges", async () => {
  const args = ["explain", "--model", "models/super-256", "--adapter", "software", "--json"];
  const { stdout, stderr } = await reimagen(args, { folder });
  expect(stderr).toBe("");
  const { dispatches } = JSON.parse(stdout);
  const low = dispatches.filter(({ label }: { label: string }) => label === "low");
  expect(low.map(({ stage, op }: { stage: string; op: string }) => `${stage} ${op}`)).toEqual([
    "request random_normal",
    "request sampler_step",
    "request resize",
  ]);
});
