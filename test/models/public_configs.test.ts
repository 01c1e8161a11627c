// The configs of public checkpoints, key for key: each is accepted, and asks for as many parameters as the checkpoint has.
import { describe, expect, it } from "vitest";
import { stableDiffusion15 } from "../../bench/lab/models.ts";
import { unetTensors, vaeTensors } from "../../src/models/diffusers/tensors.ts";
import { readUnetConfig } from "../../src/models/diffusers/unet_config.ts";
import { readVaeConfig } from "../../src/models/diffusers/vae_config.ts";
import { parameterCount } from "../../src/models/tensors.ts";

const stableDiffusion21 = {
  ...stableDiffusion15,
  _diffusers_version: "0.10.0.dev0",
  attention_head_dim: [5, 10, 20, 20],
  cross_attention_dim: 1024,
  dual_cross_attention: false,
  num_class_embeds: null,
  only_cross_attention: false,
  sample_size: 96,
  upcast_attention: true,
  use_linear_projection: true,
};

const x4Upscaler = {
  ...stableDiffusion15,
  _diffusers_version: "0.8.0",
  block_out_channels: [256, 512, 512, 1024],
  cross_attention_dim: 1024,
  down_block_types: ["DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"],
  dual_cross_attention: false,
  in_channels: 7,
  num_class_embeds: 1000,
  only_cross_attention: [true, true, true, false],
  sample_size: 128,
  up_block_types: ["CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"],
  use_linear_projection: true,
};

const ifFirst = {
  _class_name: "UNet2DConditionModel",
  _diffusers_version: "0.17.0.dev0",
  act_fn: "gelu",
  addition_embed_type: "text",
  addition_embed_type_num_heads: 64,
  attention_head_dim: 64,
  block_out_channels: [704, 1408, 2112, 2816],
  center_input_sample: false,
  class_embed_type: null,
  class_embeddings_concat: false,
  conv_in_kernel: 3,
  conv_out_kernel: 3,
  cross_attention_dim: 2816,
  cross_attention_norm: "group_norm",
  down_block_types: [
    "ResnetDownsampleBlock2D",
    "SimpleCrossAttnDownBlock2D",
    "SimpleCrossAttnDownBlock2D",
    "SimpleCrossAttnDownBlock2D",
  ],
  downsample_padding: 1,
  dual_cross_attention: false,
  encoder_hid_dim: 4096,
  encoder_hid_dim_type: "text_proj",
  flip_sin_to_cos: true,
  freq_shift: 0,
  in_channels: 3,
  layers_per_block: 3,
  mid_block_only_cross_attention: null,
  mid_block_scale_factor: 1,
  mid_block_type: "UNetMidBlock2DSimpleCrossAttn",
  norm_eps: 1e-5,
  norm_num_groups: 32,
  num_class_embeds: null,
  only_cross_attention: false,
  out_channels: 6,
  projection_class_embeddings_input_dim: null,
  resnet_out_scale_factor: 1,
  resnet_skip_time_act: false,
  resnet_time_scale_shift: "scale_shift",
  sample_size: 64,
  time_cond_proj_dim: null,
  time_embedding_act_fn: null,
  time_embedding_dim: null,
  time_embedding_type: "positional",
  timestep_post_act: null,
  up_block_types: [
    "SimpleCrossAttnUpBlock2D",
    "SimpleCrossAttnUpBlock2D",
    "SimpleCrossAttnUpBlock2D",
    "ResnetUpsampleBlock2D",
  ],
  upcast_attention: false,
  use_linear_projection: false,
};

// The switches of DeepFloyd IF's second stage; the widths and numbers of blocks are Imagen's of that stage (Saharia et al., 2022,
// appendix F), a quarter wider.
const ifSecond = {
  ...ifFirst,
  block_out_channels: [160, 320, 640, 1280],
  class_embed_type: "timestep",
  cross_attention_dim: 1280,
  down_block_types: [
    "ResnetDownsampleBlock2D",
    "ResnetDownsampleBlock2D",
    "ResnetDownsampleBlock2D",
    "SimpleCrossAttnDownBlock2D",
  ],
  in_channels: 6,
  layers_per_block: [2, 4, 8, 8],
  mid_block_scale_factor: 1.41422712488,
  only_cross_attention: true,
  resnet_out_scale_factor: 1.41422712488,
  resnet_skip_time_act: true,
  sample_size: 256,
  time_embedding_act_fn: "gelu",
  time_embedding_dim: 1280,
  up_block_types: [
    "SimpleCrossAttnUpBlock2D",
    "ResnetUpsampleBlock2D",
    "ResnetUpsampleBlock2D",
    "ResnetUpsampleBlock2D",
  ],
};

const autoencoder = {
  _class_name: "AutoencoderKL",
  _diffusers_version: "0.6.0",
  act_fn: "silu",
  block_out_channels: [128, 256, 512, 512],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  in_channels: 3,
  latent_channels: 4,
  layers_per_block: 2,
  norm_num_groups: 32,
  out_channels: 3,
  sample_size: 512,
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
};

// Of the x4 upscaler: one level less.
const x4Autoencoder = {
  ...autoencoder,
  block_out_channels: [128, 256, 512],
  down_block_types: ["DownEncoderBlock2D", "DownEncoderBlock2D", "DownEncoderBlock2D"],
  sample_size: 256,
  scaling_factor: 0.08333,
  up_block_types: ["UpDecoderBlock2D", "UpDecoderBlock2D", "UpDecoderBlock2D"],
};

describe("a U-Net has as many parameters as its public checkpoint", () => {
  it.each([
    ["Stable Diffusion 1.5", stableDiffusion15, 859_520_964],
    ["Stable Diffusion 2.1", stableDiffusion21, 865_910_724],
    ["the x4 upscaler", x4Upscaler, 473_398_020],
    ["DeepFloyd IF-I-XL", ifFirst, 4_304_695_110],
    ["a second stage of DeepFloyd IF's kind", ifSecond, 1_239_434_310],
  ])("%s", (name, json, count) => {
    expect(parameterCount(unetTensors(readUnetConfig(name, JSON.stringify(json))))).toBe(count);
  });
});

it("an autoencoder has as many parameters as Stable Diffusion's, and some tensors' shapes are known", () => {
  const tensors = vaeTensors(readVaeConfig("vae", JSON.stringify(autoencoder)));
  expect(parameterCount(tensors)).toBe(83_653_863);
  expect(tensors.get("decoder.mid_block.attentions.0.to_q.weight")).toEqual([512, 512]);
  expect(tensors.get("encoder.conv_out.weight")).toEqual([8, 512, 3, 3]);
  expect(parameterCount(vaeTensors(readVaeConfig("x4 vae", JSON.stringify(x4Autoencoder))))).toBe(55_325_927);
});

it("what a U-Net's config means is told in plain words", () => {
  const second = readUnetConfig("IF-II", JSON.stringify(ifSecond));
  expect(second.time).toMatchObject({ dim: 1280, order: "cos-sin", activation: "gelu_erf", sumActivation: "gelu_erf" });
  expect(second.classes).toEqual({ kind: "time" });
  expect(second.middle.attention).toEqual({
    kind: "added",
    heads: 20,
    headDim: 64,
    onlyText: true,
    textNorm: "group",
  });
  expect(second.up.map(({ channels, blocks, resample }) => [channels, blocks, resample])).toEqual([
    [1280, 9, "residual"],
    [640, 9, "residual"],
    [320, 5, "residual"],
    [160, 3, "none"],
  ]);
  const upscaler = readUnetConfig("x4", JSON.stringify(x4Upscaler));
  expect(upscaler.classes).toEqual({ kind: "table", rows: 1000 });
  expect(upscaler.down.map(({ attention }) => "onlyText" in attention && attention.onlyText)).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect(upscaler.middle.attention).toMatchObject({ kind: "transformer", heads: 8, headDim: 128, onlyText: false });
  const sizes = readUnetConfig("SD 2.1", JSON.stringify(stableDiffusion21)).up.map(({ attention }) => attention);
  expect(sizes.map((attention) => "heads" in attention && [attention.heads, attention.headDim])).toEqual([
    false,
    [20, 64],
    [10, 64],
    [5, 64],
  ]);
});

describe("a U-Net's config that asks for something else is refused, and each key named", () => {
  const mixed = ["ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D", "DownBlock2D"];
  it.each<[string, object, object, string]>([
    [
      "another class",
      ifFirst,
      { _class_name: "UNet2DModel" },
      '_class_name must be "UNet2DConditionModel", got "UNet2D',
    ],
    ["two unknown keys", ifFirst, { freeu: 1.5, new_key: [2] }, "not supported: freeu 1.5, new_key [2]"],
    [
      "an unknown block",
      ifFirst,
      { down_block_types: ["KDownBlock2D"] },
      "down_block_types must be a list of DownBlock2D or",
    ],
    [
      "stacks of different depth",
      ifFirst,
      { up_block_types: ["UpBlock2D"] },
      "there must be as many as of down_block_types, 4",
    ],
    ["no middle", ifFirst, { mid_block_type: "UNetMidBlock2D" }, 'mid_block_type must be "UNetMidBlock2DCrossAttn" or'],
    [
      "too few widths",
      ifFirst,
      { block_out_channels: [704, 1408] },
      "block_out_channels must be a positive integer, or a list of 4",
    ],
    [
      "a width that makes no groups",
      ifFirst,
      { norm_num_groups: 64 * 3 },
      "each must be a multiple of norm_num_groups 192",
    ],
    [
      "heads that do not fit",
      ifFirst,
      { attention_head_dim: 60 },
      "attention_head_dim 60 is not supported: 1408 channels of level 1 are no",
    ],
    [
      "a head too wide",
      stableDiffusion15,
      { attention_head_dim: 1 },
      "a head of level 1 would have 640 channels, more than 512",
    ],
    [
      "a centred input",
      ifFirst,
      { center_input_sample: true },
      "center_input_sample must be false to be supported, got true",
    ],
    [
      "Fourier time",
      ifFirst,
      { time_embedding_type: "fourier" },
      'time_embedding_type must be "positional" to be supported',
    ],
    [
      "gated attention",
      stableDiffusion15,
      { attention_type: "gated" },
      'attention_type must be "default" to be supported',
    ],
    [
      "two texts at once",
      stableDiffusion15,
      { dual_cross_attention: true },
      "dual_cross_attention must be false to be supported",
    ],
    ["an unknown activation", ifFirst, { act_fn: "mish" }, 'act_fn must be "silu" or "swish" or "gelu", got "mish"'],
    [
      "SDXL's sizes",
      stableDiffusion15,
      { addition_embed_type: "text_time" },
      'addition_embed_type must be "none" or "text", got',
    ],
    [
      "an embedded picture",
      ifFirst,
      { encoder_hid_dim_type: "image_proj" },
      'encoder_hid_dim_type must be "text_proj" to be supported',
    ],
    [
      "projected classes",
      ifFirst,
      { class_embed_type: "projection" },
      'class_embed_type must be "none" or "timestep", got',
    ],
    ["concatenated classes", ifFirst, { class_embeddings_concat: true }, "class_embeddings_concat must be false"],
    [
      "an activation of time alone",
      ifFirst,
      { time_embedding_act_fn: "silu" },
      "it goes with resnet_skip_time_act true only",
    ],
    ["a switch that a block lacks", ifSecond, { down_block_types: mixed }, "DownBlock2D has no such switch"],
    ["an even kernel", ifFirst, { conv_in_kernel: 4 }, "conv_in_kernel 4 is not supported: it must be odd"],
    [
      "padding of two",
      stableDiffusion15,
      { downsample_padding: 2 },
      "downsample_padding must be 0 or 1 to be supported, got 2",
    ],
    [
      "text that makes no groups",
      ifFirst,
      { cross_attention_dim: 2800 },
      "cross_attention_dim 2800 does not make 32 groups",
    ],
  ])("%s", (_, json, change, message) => {
    const read = () => readUnetConfig("unet/config.json", JSON.stringify({ ...json, ...change }));
    expect(read).toThrow(
      expect.objectContaining({ code: "config", message: expect.stringMatching(/^unet\/config\.json: /) }),
    );
    expect(read).toThrow(message);
  });
});

describe("an autoencoder's config that asks for something else is refused, and each key named", () => {
  it.each<[string, object, string]>([
    ["another class", { _class_name: "VQModel" }, '_class_name must be "AutoencoderKL", got "VQModel"'],
    ["an unknown key", { norm_type: "spatial" }, 'not supported: norm_type "spatial"'],
    [
      "an attending block",
      { up_block_types: ["AttnUpDecoderBlock2D"] },
      "up_block_types must be a list of UpDecoderBlock2D",
    ],
    [
      "halves of different depth",
      { up_block_types: ["UpDecoderBlock2D"] },
      "there must be as many as of down_block_types, 4",
    ],
    ["latents with a mean", { latents_mean: [0, 0, 0, 0] }, "latents_mean must be null to be supported"],
    ["another activation", { act_fn: "gelu" }, 'act_fn must be "silu" or "swish" to be supported, got "gelu"'],
    ["a width that makes no groups", { norm_num_groups: 48 }, "each must be a multiple of norm_num_groups 48"],
    ["a head too wide", { block_out_channels: 1024 }, "the middle attends with one head, of at most 512 channels"],
  ])("%s", (_, change, message) => {
    const read = () => readVaeConfig("vae/config.json", JSON.stringify({ ...autoencoder, ...change }));
    expect(read).toThrow(expect.objectContaining({ code: "config" }));
    expect(read).toThrow(message);
  });
});
