// `reimagen quantize`: pipelines and models in 8 bits, what they draw, and that nothing is ever half there.
import { readdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import { openCheckpoint } from "../../src/io/checkpoint.ts";
import { subfolder } from "../../src/io/folder.ts";
import { decodePng } from "../../src/io/png.ts";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { openFolder } from "../../src/node/folder.ts";
import { quantizeFolder } from "../../src/node/quantize.ts";
import { testGpu } from "../gpu.ts";
import { type Files, json, tinyPipeline, writeFiles } from "../tiny-pipelines.ts";
import { filesIn, newFolder, reimagen, remove } from "./command-line.ts";

const unet = "unet/diffusion_pytorch_model";
let folder: string;
let files: Files;
beforeAll(async () => {
  folder = await newFolder();
  files = await tinyPipeline("StableDiffusionPipeline");
  await writeFiles(at("sd"), files);
});
afterAll(() => remove(folder));

const at = (name: string) => join(folder, name);
const run = (...args: string[]) => reimagen(args, { folder });

async function tensorsOf(bytes: Uint8Array) {
  const opened = await openSafetensors(bytesSource("file", bytes));
  const infos = [...opened.tensors.values()];
  return Promise.all(infos.map(async (info) => ({ ...info, bytes: (await opened.read(info.name)).slice() })));
}

/** The same pipeline, its U-Net in two files with an index, beside a pickle of it. */
async function sharded(): Promise<Files> {
  const tensors = await tensorsOf(files.get(`${unet}.safetensors`)!);
  const half = (i: number) => `unet/${["a", "b"][i]}.safetensors`;
  const copy = new Map(files);
  copy.delete(`${unet}.safetensors`);
  for (const i of [0, 1]) copy.set(half(i), writeSafetensors(tensors.filter((_, at) => at % 2 === i)));
  const homes = Object.fromEntries(tensors.map(({ name }, at) => [name, half(at % 2).slice(5)]));
  copy.set(`${unet}.safetensors.index.json`, json({ metadata: { total_size: 1 }, weight_map: homes }));
  copy.set(`${unet}.bin`, new Uint8Array(100));
  return copy;
}

async function draw(path: string, options: Parameters<typeof openPipeline>[2] = {}): Promise<Uint8ClampedArray> {
  const from = await openFolder(path);
  const pipeline = await openPipeline(await testGpu(), from, options);
  const { pictures } = await pipeline.generate({ prompt: "a red fox", steps: 2, seed: 5 });
  pipeline.dispose();
  await from.close();
  return pictures[0]!.pixels as Uint8ClampedArray;
}

/** Mean distance of two pictures' values, 0 to 255. */
const apart = (a: ArrayLike<number>, b: ArrayLike<number>) =>
  Array.from(a).reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;

describe("a pipeline", () => {
  it("is written anew: text encoder and U-Net in 8 bits, all else as it was, and every error told", async () => {
    const { code, stdout, stderr } = await run("quantize", "sd", "small", "--json");
    expect([stderr, code]).toEqual(["", 0]);
    const told = JSON.parse(stdout);
    const names = told.tensors.map(({ name }: { name: string }) => name);
    expect(names).toContain("unet/mid_block.resnets.0.conv1.weight");
    expect(names).toContain("text_encoder/text_model.encoder.layers.0.mlp.fc1.weight");
    expect(names.filter((name: string) => /bias|norm|embedding|^vae/.test(name) && !/time_emb/.test(name))).toEqual([]);
    for (const { error } of told.tensors) expect(error).toBeLessThan(8e-3);
    expect(told.tensors.some(({ error }: { error: number }) => error > 2e-3)).toBe(true);
    expect(told.worst).toBe(Math.max(...told.tensors.map(({ error }: { error: number }) => error)));
    const sizes = await Promise.all(["sd", "small"].map(bytesIn));
    expect([told.before, told.after]).toEqual(sizes);
    // Its weights were in half precision but for the text encoder's, and its decoder's are a fifth.
    expect(told.after / told.before).toBeLessThan(0.7);
    const relative = async (name: string) =>
      (await filesIn(at(name))).map((file) => file.slice(at(name).length)).sort();
    expect(await relative("small")).toEqual(await relative("sd"));
    for (const [path, bytes] of files)
      if (!/^(unet|text_encoder)\/.*safetensors/.test(path))
        expect(new Uint8Array(await readFile(at(`small/${path}`))), path).toEqual(new Uint8Array(bytes));
  });

  it("draws, to the bit, what the whole one draws with weights brought to 8 bits as they are loaded", async () => {
    const whole = await draw(at("sd"), { weights: "q8" });
    const drawn = await draw(at("small"));
    // Other adapters take another code where a value lies in the middle between two.
    if (/swiftshader/i.test((await testGpu()).info.description)) expect(drawn).toEqual(whole);
    expect(apart(drawn, whole)).toBeLessThan(0.5);
    const command = ["generate", "a red fox", "--model", "small", "--steps", "2", "--seed", "5", "-o", "fox.png"];
    expect((await run(...command, "--adapter", "software")).stderr).toBe("");
    const { picture } = await decodePng("fox.png", await readFile(at("fox.png")));
    expect(apart(picture.pixels, drawn)).toBeLessThan(0.5);
    // Asked for more, it has no more to give: the same values in wider numbers.
    expect(apart(await draw(at("small"), { weights: "f32" }), whole)).toBeLessThan(0.5);
  });

  it("in shards stays in shards, and a pickle beside them is left behind", async () => {
    await writeFiles(at("sharded"), await sharded());
    await quantizeFolder(at("sharded"), at("small shards"));
    expect((await readdir(at("small shards/unet"))).sort()).toEqual([
      "a.safetensors",
      "b.safetensors",
      "config.json",
      "diffusion_pytorch_model.safetensors.index.json",
    ]);
    expect(await draw(at("small shards"))).toEqual(await draw(at("small")));
  });

  it("is looked over: 8 bits are shown, where they are", async () => {
    const { stdout } = await run("inspect", "small", "--adapter", "software");
    expect(stdout).toMatch(/unet: I8, F16, as the config has it/);
    expect(stdout).toMatch(/vae: F\d+, as the config has it/);
  });

  it("is not quantised twice, not over something, not into itself", async () => {
    const before = await filesIn(folder);
    const refuse = async (args: string[], code: number, sentence: RegExp) => {
      const ended = await run("quantize", ...args);
      expect(ended.stderr).toMatch(sentence);
      expect([ended.stdout, ended.code]).toEqual(["", code]);
    };
    await refuse(["small", "smaller"], 2, /^reimagen: small\/text_encoder is in 8 bits already\n$/);
    await refuse(["sd", "small"], 4, /^reimagen: small cannot be written: there is such a file or folder already\n$/);
    await refuse(["sd", "sd/small"], 4, /^reimagen: sd\/small cannot be written: it would lie within sd\n$/);
    await refuse(["nowhere", "small2"], 3, /^reimagen: nowhere cannot be read: there is no such folder\n$/);
    expect(await filesIn(folder)).toEqual(before);
  });

  it("leaves nothing behind when it is stopped, or when a tensor holds no number", async () => {
    const stop = new AbortController();
    const stopped = quantizeFolder(at("sd"), at("stopped"), { signal: stop.signal, onProgress: () => stop.abort() });
    await expect(stopped).rejects.toMatchObject({ code: "aborted" });
    const tensors = await tensorsOf(files.get(`${unet}.safetensors`)!);
    const broken = tensors.map((each) => (each.name === "conv_out.weight" ? each : { ...each, bytes: nan(each) }));
    await writeFiles(at("broken"), new Map([...files, [`${unet}.safetensors`, writeSafetensors(broken)]]));
    await expect(quantizeFolder(at("broken"), at("none"))).rejects.toMatchObject({ code: "not-finite" });
    expect((await readdir(folder)).filter((name) => /tmp|stopped|none/.test(name))).toEqual([]);
  });
});

const nan = ({ bytes }: { bytes: Uint8Array }) => bytes.slice().fill(255, 0, 4);

async function bytesIn(name: string): Promise<number> {
  const sizes = await Promise.all((await filesIn(at(name))).map(async (file) => (await readFile(file)).length));
  return sizes.reduce((sum, size) => sum + size, 0);
}

describe("the folder of one model", () => {
  it("of a U-Net, of text encoders, through links as a cache of downloads has them", async () => {
    const linked = at("linked unet");
    await writeFiles(linked, new Map([["config.json", files.get("unet/config.json")!]]));
    await symlink(at(`sd/${unet}.safetensors`), join(linked, "diffusion_pytorch_model.safetensors"));
    const { tensors } = await quantizeFolder(linked, at("linked small"));
    expect(tensors.length).toBeGreaterThan(50);
    const alone = await readFile(at("linked small/diffusion_pytorch_model.safetensors"));
    expect(alone).toEqual(await readFile(at(`small/${unet}.safetensors`)));
    const t5 = await tinyPipeline("IFPipeline");
    for (const [name, from] of Object.entries({ clip: files, t5 })) {
      const text = [...from].flatMap(([path, bytes]) =>
        path.startsWith("text_encoder/") ? [[path.slice(13), bytes] as const] : [],
      );
      await writeFiles(at(name), new Map(text));
      expect((await quantizeFolder(at(name), at(`${name} small`))).tensors.length).toBeGreaterThan(5);
    }
    await writeFile(at("clip/config.json"), json({ model_type: "bert" }));
    await expect(quantizeFolder(at("clip"), at("bert small"))).rejects.toMatchObject({ code: "config" });
  });

  it("of a Re-Imagen: the shipped one in 8 bits draws the same picture to the eye", async () => {
    const model = new URL("../../weights/emoji-64", import.meta.url).pathname;
    const { after, before } = await quantizeFolder(model, at("emoji"));
    expect(after).toBeLessThan(before);
    const command = ["generate", "a pineapple on the beach", "--no-sheet", "--steps", "2", "-k", "1", "--seed", "3"];
    const software = ["--adapter", "software"];
    expect((await run(...command, ...software, "-o", "whole.png")).stderr).toBe("");
    expect((await run(...command, ...software, "--model", "emoji", "-o", "bits.png")).stderr).toBe("");
    const pixels = async (file: string) => (await decodePng(file, await readFile(at(file)))).picture.pixels;
    const whole = Float32Array.from(await pixels("whole.png"));
    const bits = await pixels("bits.png");
    const error = whole.reduce((sum, value, i) => sum + (value - bits[i]!) ** 2, 0) / whole.length;
    const decibels = 10 * Math.log10(255 ** 2 / error);
    console.info(`the shipped model in 8 bits: ${decibels.toFixed(1)} dB from the whole one's picture`);
    expect(decibels).toBeGreaterThan(30);
  });
});

it("what was written is a safetensors file that says what it is", async () => {
  const checkpoint = await openCheckpoint(subfolder(await openFolder(at("small")), "unet"));
  expect(checkpoint.metadata).toMatchObject({ "reimagen.q8": "1" });
  const name = "mid_block.resnets.0.conv1.weight";
  const { shape, dtype } = checkpoint.tensors.get(name)!;
  expect([dtype, checkpoint.tensors.get(`${name}.scale`)!.dtype]).toEqual(["I8", "F16"]);
  expect(checkpoint.tensors.get(`${name}.scale`)!.shape).toEqual([shape[0], Math.ceil((shape[1]! * 9) / 32)]);
});
