// Models that families run with random weights: the shipped architecture widened, narrowed or enlarged, and one of full size.
import type { ModelConfig } from "../../src/models/config.ts";

/** A base stage of Imagen's size: 704 to 2816 channels at 64 to 8 pixels, 2.1 thousand million parameters. */
export const imagenSize: ModelConfig = {
  architecture: "reimagen",
  prediction: "v",
  schedule: "cosine",
  size: 64,
  patch: 1,
  channels: [704, 1408, 2112, 2816],
  blocks: [3, 3, 2, 1],
  down_attention: [false, true, true, true],
  up_attention: [false, true, true, true],
  self_attention: [false, true, true, true],
  head_dim: 64,
  norm_groups: 32,
  text_dim: 1024,
  text_layers: 2,
  text_heads: 16,
  text_ff: 2816,
  text_len: 77,
  vocab: 32128,
  time_dim: 2816,
  cond_channels: 0,
  low_factor: 4,
  residual_std: 0,
  neighbors: true,
  attention_pos: false,
};

/** The stages of a cascade of Re-Imagen's size, 3.6 thousand million parameters together; those above the base with most of them at few pixels, as Imagen's have. */
export const fullCascade: readonly ModelConfig[] = [
  imagenSize,
  {
    ...imagenSize,
    size: 256,
    channels: [128, 256, 512, 1024, 1024],
    blocks: [2, 2, 4, 7, 6],
    down_attention: [false, false, false, true, true],
    up_attention: [false, false, false, true, true],
    self_attention: [false, false, false, false, true],
    time_dim: 1024,
    cond_channels: 3,
  },
  {
    ...imagenSize,
    size: 1024,
    channels: [128, 256, 512, 1024],
    blocks: [2, 2, 3, 4],
    down_attention: [false, false, false, true],
    up_attention: [false, false, false, true],
    self_attention: [false, false, false, false],
    time_dim: 1024,
    cond_channels: 3,
    neighbors: false,
  },
];

/** The same architecture drawing pictures of another side, a multiple of the model's unit. */
export function withSide(config: ModelConfig, size: number): ModelConfig {
  return { ...config, size };
}

/** The same architecture with `factor` times the channels; widths stay multiples of heads and groups. */
export function withWidth(config: ModelConfig, factor: number): ModelConfig {
  return { ...config, channels: config.channels.map((width) => width * factor) };
}

/**
 * As many dispatches as the model has, over next to nothing: a device is done with each step sooner than the caller with the next, so
 * that what the caller does can be measured.
 */
export function thin(config: ModelConfig): ModelConfig {
  const unit = config.patch * 2 ** (config.channels.length - 1);
  return {
    ...config,
    size: unit * 2,
    channels: config.channels.map(() => 16),
    head_dim: 16,
    norm_groups: 4,
    text_dim: 16,
    text_heads: 1,
    text_ff: 16,
    text_len: 8,
    vocab: 64,
    time_dim: 16,
  };
}

/** The `config.json` of Stable Diffusion 1.5's U-Net. */
export const stableDiffusion15 = {
  _class_name: "UNet2DConditionModel",
  _diffusers_version: "0.6.0",
  act_fn: "silu",
  attention_head_dim: 8,
  block_out_channels: [320, 640, 1280, 1280],
  center_input_sample: false,
  cross_attention_dim: 768,
  down_block_types: ["CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"],
  downsample_padding: 1,
  flip_sin_to_cos: true,
  freq_shift: 0,
  in_channels: 4,
  layers_per_block: 2,
  mid_block_scale_factor: 1,
  norm_eps: 1e-5,
  norm_num_groups: 32,
  out_channels: 4,
  sample_size: 64,
  up_block_types: ["UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"],
};
