// The command line on pipelines as diffusers saves them: drawing, enlarging, looking over, and what it says of broken ones.
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodePng, encodePng } from "../../src/io/png.ts";
import { somePicture } from "../diffusion/shown-neighbors.ts";
import { json, tinyPipeline, writeFiles } from "../tiny-pipelines.ts";
import { filesIn, newFolder, reimagen, remove } from "./command-line.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  await writeFiles(join(folder, "sd"), await tinyPipeline("StableDiffusionPipeline"));
  await writeFiles(join(folder, "x4"), await tinyPipeline("StableDiffusionUpscalePipeline"));
  await writeFiles(join(folder, "if"), await tinyPipeline("IFPipeline"));
  await writeFiles(join(folder, "if2"), await tinyPipeline("IFSuperResolutionPipeline"));
  await writeFile(join(folder, "cat.png"), encodePng(somePicture(3, 30, 20), {}));
});
afterAll(() => remove(folder));

const software = ["--adapter", "software"];
const run = (...args: string[]) => reimagen([...args, ...software], { folder });
const read = async (file: string) => decodePng(file, await readFile(join(folder, file)));

/** A copy of a pipeline, to be broken. */
async function copyOf(name: string): Promise<string> {
  const copy = join(folder, name);
  await rm(copy, { recursive: true, force: true });
  return writeFiles(copy, await tinyPipeline("StableDiffusionPipeline"));
}

describe("reimagen generate --model", () => {
  it("draws with Stable Diffusion: the same bytes for a seed, alone or in a batch, and how it was made inside", async () => {
    const args = ["generate", "--model", "sd", "a red fox", "--steps", "2"];
    const { code, stdout, stderr } = await run(...args, "--pictures", "2", "--seed", "3", "--negative", "blue");
    expect([stderr, code]).toEqual(["", 0]);
    expect(stdout).toBe("out/a-red-fox-3.png\nout/a-red-fox-4.png\n");
    await run(...args, "--seed", "4", "--negative", "blue", "-o", "again.png");
    const [batch, alone] = [await read("out/a-red-fox-4.png"), await read("again.png")];
    expect(alone.picture.pixels).toEqual(batch.picture.pixels);
    expect([alone.picture.width, alone.picture.height]).toEqual([64, 64]);
    expect(alone.text).toMatchObject({ model: "sd", prompt: "a red fox", negative: "blue", seed: "4" });
    expect(JSON.parse(alone.text.settings!)).toMatchObject({ sampler: "ddim", steps: 2, guidance: { gammaP: 7.5 } });
  });

  it("draws with neighbours, by hand and found by the prompt, and says inside which they were", async () => {
    const draw = ["generate", "--model", "sd", "a moose in the snow", "--steps", "2", "--json"];
    const shown = ["--neighbor", "cat.png=a cat", "-k", "1", "--eta", "0.25", "--gamma-n", "2", "-o", "shown.png"];
    const { code, stdout, stderr } = await run(...draw, ...shown);
    expect([stderr, code]).toEqual(["", 0]);
    const { neighbors, settings, warnings } = JSON.parse(stdout);
    expect(neighbors).toMatchObject([
      { caption: "a cat", file: "cat.png" },
      { entity: expect.stringContaining("moose") },
    ]);
    expect(settings.guidance).toMatchObject({ mode: "interleaved", eta: 0.25, gammaP: 7.5, gammaN: 2 });
    expect(warnings).toEqual([]);
    const drawn = await read("shown.png");
    expect(JSON.parse(drawn.text.neighbors!)).toEqual(neighbors);
    const levels = [
      "--neighbor-levels",
      "0,1",
      "--neighbor-noise",
      "0.3",
      "--guidance",
      "entangled",
      "-o",
      "otherwise.png",
    ];
    expect((await run(...draw, "--neighbor", "cat.png=a cat", ...levels)).stderr).toBe("");
    expect((await read("otherwise.png")).picture.pixels).not.toEqual(drawn.picture.pixels);
  });

  it("draws with DeepFloyd IF and enlarges by its second stage and the x4 upscaler, in 8 bits, and reports to programs", async () => {
    const stages = ["--model", "if", "--upscale", "if2", "--upscale", "x4"];
    const options = ["--steps", "2", "--gamma-p", "2", "--weights", "q8", "--json", "-o", "large.png"];
    const { code, stdout, stderr } = await run("generate", "A red fox", ...stages, ...options);
    expect([stderr, code]).toEqual(["", 0]);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ models: ["if", "if2", "x4"], warnings: [] });
    expect(told.parts.map(({ part }: { part: string }) => part)).toEqual([
      ...["if/text_encoder", "if/unet", "if2/unet"],
      ...["x4/text_encoder", "x4/unet", "x4/vae"],
    ]);
    const { picture } = await read("large.png");
    expect([picture.width, picture.height]).toEqual([128, 128]);
    const size = ["--size", "48x32"];
    await run("generate", "a red fox", "--model", "sd", ...size, "--steps", "1", "-o", "small.png");
    const enlarged = ["--model", "x4", "--picture", "small.png", "--steps", "1", "-o", "larger.png"];
    expect((await run("generate", "a red fox", ...enlarged)).stderr).toBe("");
    expect((await read("larger.png")).picture).toMatchObject({ width: 192, height: 128 });
  });

  it.each<[string, string[], number, RegExp]>([
    [
      "too many neighbours",
      ["--model", "sd", "-k", "9"],
      2,
      /at most 8 neighbours are possible, got 9 \(9 to retrieve/,
    ],
    [
      "neighbours of an upscaler",
      ["--model", "x4", "--picture", "cat.png", "-k", "1"],
      2,
      /x4 is an upscaler: neighbours are/,
    ],
    ["a neighbour that is not there", ["--model", "sd", "--neighbor", "dog.png=a dog"], 3, /dog\.png cannot be read/],
    ["what neighbours alone need", ["--model", "sd", "--eta", "0.5"], 2, /--eta does not go with this model: sd is/],
    ["thresholding", ["--model", "sd", "--threshold", "none"], 2, /--threshold does not go with this model: sd is/],
    ["settings of pipelines for the shipped model", ["--negative", "x"], 2, /--negative does not go with this model/],
    [
      "a size that is none",
      ["--model", "sd", "--size", "64by64"],
      2,
      /It must be <side> or <width>x<height>, such as 256 or 768x512/,
    ],
    [
      "more than there is memory for, before anything is loaded",
      ["--model", "sd", "--memory", "10MB"],
      5,
      /sd\/unet needs 2\d\.\d MB with weights in f32: the memory budget is 10\.0 MB; with --weights q8: [\d.]+ MB, which fits/,
    ],
    ["a memory that is none", ["--model", "sd", "--memory", "10"], 2, /It must be a size such as 800MB or 7\.5GB/],
    [
      "tiles that show too little",
      ["--model", "sd", "--tile", "16"],
      2,
      /the side of a tile must be a whole number of at/,
    ],
    ["an upscaler and no picture", ["--model", "x4"], 2, /x4 is an upscaler: it needs a smaller picture to start from/],
  ])("refuses %s", async (_, args, code, sentence) => {
    const ended = await run("generate", "a fox", ...args, "-o", "none.png");
    expect(ended.stderr).toMatch(/^reimagen: [^\n]+\n$/);
    expect(ended.stderr).toMatch(sentence);
    expect([ended.stdout, ended.code]).toEqual(["", code]);
  });

  it("refuses a file cut short, in a sentence, and writes nothing", async () => {
    const broken = await copyOf("broken");
    const file = join(broken, "unet/diffusion_pytorch_model.safetensors");
    await writeFile(file, (await readFile(file)).subarray(0, 5000));
    const before = await filesIn(folder);
    const ended = await run("generate", "a fox", "--model", "broken");
    expect(ended.stderr).toMatch(/^reimagen: broken\/unet\/diffusion_pytorch_model\.safetensors[^\n]+\n$/);
    expect([ended.stdout, ended.code]).toEqual(["", 3]);
    expect(await filesIn(folder)).toEqual(before);
  });

  it("stops at the next step when it is told to, and writes nothing", async () => {
    const before = await filesIn(folder);
    const args = ["generate", "a fox", "--model", "sd", "--steps", "900", ...software];
    const onStart = (id: number) => void setTimeout(() => process.kill(id, "SIGINT"), 6000);
    const ended = await reimagen(args, { folder, onStart });
    expect(ended.stderr).toMatch(/^reimagen: [^\n]*aborted[^\n]*\n$/);
    expect(ended.code).toBe(130);
    expect(await filesIn(folder)).toEqual(before);
  });
});

describe("reimagen inspect", () => {
  it("tells of a folder with configs alone what it would need, and what is in the way", async () => {
    const bare = await copyOf("bare");
    for (const file of await filesIn(bare))
      if (!file.endsWith("config.json") && !file.endsWith("index.json")) await rm(file);
    const { code, stdout, stderr } = await run("inspect", "bare", "--json");
    expect([stderr, code]).toEqual(["", 0]);
    const { class: kind, parts, unsupported, passedOver } = JSON.parse(stdout);
    expect([kind, unsupported, passedOver]).toEqual(["StableDiffusionPipeline", [], ["feature_extractor"]]);
    expect(parts.map(({ name, parameters }: { name: string; parameters: number }) => [name, parameters])).toEqual([
      ["text_encoder", 40304],
      ["unet", 3147012],
      ["vae", 587223],
    ]);
    const unet = parts[1];
    expect(unet.checkpoint.problem).toContain("there are no weights");
    expect(unet.needs.f16.weights / unet.needs.f32.weights).toBeCloseTo(0.5, 1);
    expect(unet.needs.q8.weights).toBeLessThan(unet.needs.f16.weights);
    const config = JSON.parse(await readFile(join(bare, "unet/config.json"), "utf8"));
    await writeFile(join(bare, "unet/config.json"), json({ ...config, attention_type: "gated" }));
    await mkdir(join(bare, "scheduler"), { recursive: true });
    const told = await run("inspect", "bare");
    expect(told.stdout).toMatch(/In the way\n {2}bare\/unet\/config\.json: attention_type must be "default"/);
    expect(told.code).toBe(0);
  });

  it("tells people each part, its checkpoint, and the memory by storage", async () => {
    const { stdout } = await run("inspect", "if2");
    expect(stdout).toMatch(/^IFSuperResolutionPipeline\n\nParts\n {2}text_encoder: T5 v1\.1 encoder: 2 layers/);
    expect(stdout).toMatch(/unet: F16, as the config has it/);
    expect(stdout).toMatch(/--storage f16 --weights q8: [\d.]+ MB\n/);
    expect(stdout).not.toContain("In the way");
  });
});
