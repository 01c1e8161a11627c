// Pipeline folders that are broken or ask for what there is not: each is refused in one sentence, and nothing of it stays on the device.
import { beforeAll, describe, expect, it } from "vitest";
import { openPipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import type { ErrorCode } from "../../src/errors.ts";
import { Gpu } from "../../src/gpu/gpu.ts";
import { openSafetensors, type TensorBytes, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { testGpu } from "../gpu.ts";
import { type Files, json, memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";
import { expectError } from "./tiny-engine.ts";

let sd: Files;
let second: Files;
beforeAll(async () => {
  sd = await tinyPipeline("StableDiffusionPipeline");
  second = await tinyPipeline("IFSuperResolutionPipeline");
});

const unet = "unet/diffusion_pytorch_model.safetensors";
const read = (files: Files, path: string) => JSON.parse(new TextDecoder().decode(files.get(path)!));
const change = (path: string, changes: object) => (files: Files) =>
  void files.set(path, json({ ...read(files, path), ...changes }));
const index = (changes: object) => change("model_index.json", changes);

/** The tensors of a checkpoint. */
async function tensorsOf(bytes: Uint8Array): Promise<TensorBytes[]> {
  const opened = await openSafetensors(bytesSource("file", bytes));
  return Promise.all(
    [...opened.tensors.values()].map(async ({ name, dtype, shape }) => ({
      name,
      dtype,
      shape,
      bytes: (await opened.read(name)).slice(),
    })),
  );
}

/** The U-Net in two files with an index. */
async function shard(files: Files, changes: { lost?: boolean; misplaced?: boolean } = {}): Promise<void> {
  const tensors = await tensorsOf(files.get(unet)!);
  const names = ["a.safetensors", "b.safetensors"];
  const homes = Object.fromEntries(tensors.map(({ name }, i) => [name, names[i % 2]!]));
  files.delete(unet);
  names.forEach((file, at) => {
    if (at === 0 || !changes.lost) files.set(`unet/${file}`, writeSafetensors(tensors.filter((_, i) => i % 2 === at)));
  });
  if (changes.misplaced) homes[tensors[0]!.name] = names[1]!;
  files.set("unet/diffusion_pytorch_model.safetensors.index.json", json({ weight_map: homes }));
}

async function changeTensors(files: Files, edit: (tensors: TensorBytes[]) => TensorBytes[]): Promise<void> {
  files.set(unet, writeSafetensors(edit(await tensorsOf(files.get(unet)!))));
}

type Break = (files: Files) => void | Promise<void>;

it.each<[string, Break, ErrorCode, RegExp]>([
  ["no index", (files) => void files.delete("model_index.json"), "checkpoint", /^tiny has no file model_index\.json$/],
  [
    "an index that is no JSON",
    (files) => void files.set("model_index.json", Uint8Array.of(123)),
    "config",
    /^tiny\/model_index\.json: it is not JSON/,
  ],
  [
    "another pipeline",
    index({ _class_name: "FluxPipeline" }),
    "config",
    /the pipeline must be a StableDiffusionPipeline, .*, got "FluxPipeline"$/,
  ],
  [
    "an unknown part",
    index({ controlnet: ["diffusers", "ControlNetModel"] }),
    "config",
    /the part controlnet of class "ControlNetModel" is not supported$/,
  ],
  [
    "a part of another class",
    index({ vae: ["diffusers", "VQModel"] }),
    "config",
    /the part vae of class "VQModel" is not supported$/,
  ],
  [
    "a part that is not named",
    index({ vae: [null, null] }),
    "config",
    /a StableDiffusionPipeline needs vae, which the index does not name$/,
  ],
  ["an unknown setting", index({ force_zeros: true }), "config", /force_zeros true is not supported$/],
  [
    "a missing config",
    (files) => void files.delete("vae/config.json"),
    "checkpoint",
    /^tiny has no file vae\/config\.json$/,
  ],
  [
    "an unknown key",
    change("unet/config.json", { freeu: 2 }),
    "config",
    /^tiny\/unet\/config\.json: not supported: freeu 2$/,
  ],
  [
    "an unknown scheduler",
    change("scheduler/scheduler_config.json", { _class_name: "NewScheduler" }),
    "config",
    /^tiny\/scheduler\/scheduler_config\.json: _class_name must be .*got "NewScheduler"$/,
  ],
  [
    "a variance that no one predicts",
    change("scheduler/scheduler_config.json", { _class_name: "DDPMScheduler", variance_type: "learned_range" }),
    "config",
    /takes the variance from the U-Net, which predicts none$/,
  ],
  [
    "parts that do not fit each other",
    change("text_encoder/config.json", { hidden_size: 64 }),
    "config",
    /the U-Net reads texts of 48 channels, and the text encoder writes 64$/,
  ],
  [
    "latents of another width",
    change("vae/config.json", { latent_channels: 8 }),
    "config",
    /the U-Net's 4 input channels do not make 8 of a latent$/,
  ],
  ["no weights", (files) => void files.delete(unet), "checkpoint", /^tiny\/unet: there are no weights/],
  [
    "weights that can run code",
    (files) => {
      files.delete(unet);
      files.set("unet/diffusion_pytorch_model.bin", Uint8Array.of(0));
    },
    "checkpoint",
    /can run code when it is read: safetensors are needed/,
  ],
  [
    "a file cut short",
    (files) => void files.set(unet, files.get(unet)!.slice(0, -1000)),
    "checkpoint",
    /^tiny\/unet\/diffusion_pytorch_model\.safetensors/,
  ],
  [
    "a shard that is missing",
    (files) => shard(files, { lost: true }),
    "checkpoint",
    /shard b\.safetensors, which .* names, is missing$/,
  ],
  [
    "an index that is wrong",
    (files) => shard(files, { misplaced: true }),
    "checkpoint",
    /shard a\.safetensors has a tensor .* places in b\.safetensors$/,
  ],
  [
    "a tensor that is missing",
    (files) => changeTensors(files, (all) => all.slice(1)),
    "tensor",
    /has no tensor .*, which the config asks for$/,
  ],
  [
    "a tensor of another shape",
    (files) =>
      changeTensors(files, (all) =>
        all.map((each) => (each.shape.length === 1 ? { ...each, shape: [1, ...each.shape] } : each)),
      ),
    "tensor",
    /should be \[.*\] by the config, got \[1, /,
  ],
  [
    "a tensor too many",
    (files) =>
      changeTensors(files, (all) => [...all, { name: "lora", dtype: "F32", shape: [1], bytes: new Uint8Array(4) }]),
    "config",
    /has a tensor lora that the config has no place for$/,
  ],
  [
    "a tensor of whole numbers",
    (files) => changeTensors(files, (all) => all.map((each) => ({ ...each, dtype: "I16" }))),
    "dtype",
    /should be F32, F16 or BF16, got I16$/,
  ],
  [
    "no tokenizer",
    (files) => void files.delete("tokenizer/vocab.json"),
    "checkpoint",
    /^tiny\/tokenizer has no tokenizer/,
  ],
  [
    "more words than the encoder knows",
    change("text_encoder/config.json", { vocab_size: 50 }),
    "config",
    /the tokenizer has 74 words, but the text encoder's vocab_size is 50$/,
  ],
])("a folder with %s is refused", async (_, damage, code, sentence) => {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const files = new Map(sd);
  await damage(files);
  await expectError(openPipeline(gpu, memoryFolder("tiny", files)), code, sentence);
  expect(gpu.allocatedBytes).toBe(before);
});

it("an upscaler without a text encoder says whose it needs, and is content with the first stage's", async () => {
  const gpu = await testGpu();
  const files = new Map([...second].filter(([path]) => !/^(text_encoder|tokenizer)/.test(path)));
  index({ text_encoder: [null, null], tokenizer: [null, null] })(files);
  const open = (options = {}) => openPipeline(gpu, memoryFolder("second", files), options);
  await expectError(open(), "config", /^second has no text encoder: it needs that of its first stage$/);
  const first = await openPipeline(gpu, memoryFolder("first", await tinyPipeline("IFPipeline")));
  expect((await open({ after: first })).definition.text).toBeUndefined();
});

it("a sharded checkpoint draws as the whole one does", async () => {
  const gpu = await testGpu();
  const files = new Map(sd);
  await shard(files);
  const draw = async (from: Files) => {
    const pipeline = await openPipeline(gpu, memoryFolder("tiny", from));
    return (await pipeline.generate({ prompt: "a fox", steps: 1 })).pictures[0]!.pixels;
  };
  expect(await draw(files)).toEqual(await draw(sd));
});

describe("what goes wrong while weights are loaded leaves nothing on the device:", () => {
  it("a NaN", async () => {
    const gpu = await testGpu();
    const files = new Map(sd);
    await changeTensors(files, (all) =>
      all.map((each) => (each.name === "conv_out.weight" ? { ...each, bytes: each.bytes.slice().fill(255) } : each)),
    );
    const before = gpu.allocatedBytes;
    const pipeline = await openPipeline(gpu, memoryFolder("tiny", files));
    const drawn = pipeline.generate({ prompt: "a fox", steps: 1 });
    await expectError(drawn, "not-finite", /tensor conv_out\.weight has NaN at element 0$/);
    expect(gpu.allocatedBytes).toBe(before);
  });

  it("a stop", async () => {
    const gpu = await testGpu();
    const before = gpu.allocatedBytes;
    const pipeline = await openPipeline(gpu, memoryFolder("tiny", sd));
    const stop = new AbortController();
    const onLoad = (part: string) => void (part === "unet" && stop.abort());
    const drawn = pipeline.generate({ prompt: "a fox", steps: 1 }, { signal: stop.signal, onLoad });
    await expectError(drawn, "aborted", /abort/);
    expect(gpu.allocatedBytes).toBe(before);
  });
});

it("what the device cannot hold is refused before it is loaded, with what 8-bit weights would need", async () => {
  const { device, info, traits } = await testGpu();
  // The same device, said to have less.
  const gpu = new Gpu(device, info);
  const limits: Record<string, unknown> = {};
  for (const name in traits.limits) limits[name] = traits.limits[name as keyof GPUSupportedLimits];
  const few = { ...traits, limits: { ...limits, maxStorageBufferBindingSize: 300_000 } };
  Object.defineProperty(gpu, "traits", { value: few });
  const pipeline = await openPipeline(gpu, memoryFolder("tiny", sd));
  let loaded = false;
  const drawn = pipeline.generate(
    { prompt: "a fox", steps: 1, size: { width: 32, height: 32 } },
    {
      onLoad: (part) => {
        loaded ||= part === "unet";
      },
    },
  );
  await expectError(
    drawn,
    "limit",
    /^tiny\/unet needs [\d.]+ [MG]B with weights in f32: .* needs maxStorageBufferBindingSize of at least \d+, but the device has 300000; with --weights q8: [\d.]+ [MG]B, which fits$/,
  );
  expect(loaded).toBe(false);
  expect(gpu.allocatedBytes).toBe(0);
});
