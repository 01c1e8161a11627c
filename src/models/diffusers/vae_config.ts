// The architecture of an `AutoencoderKL`, as the config.json of a public checkpoint gives it.
import { readPublicConfig } from "../public_config.ts";

/** A picture's autoencoder with a Gaussian latent (Rombach et al., 2022). */
export interface VaeConfig {
  /** Channels of the picture that goes in and of the one that comes out. */
  readonly inputs: number;
  readonly outputs: number;
  readonly latentChannels: number;
  /** Finest first. */
  readonly channels: readonly number[];
  /** Residual blocks a level of the encoder; the decoder has one more. */
  readonly blocks: number;
  readonly groups: number;
  /** Whether a 1x1 convolution follows the encoder, and one precedes the decoder. */
  readonly quantizes: { readonly encoder: boolean; readonly decoder: boolean };
  readonly middleAttends: boolean;
  /** A diffusion model works on (latent - shift) * scale. */
  readonly scale: number;
  readonly shift: number;
  /** Its authors ask for f32: in half precision some values overflow. */
  readonly wantsSingle: boolean;
}

/** Reads an autoencoder's config.json. Throws `config`, naming each key or value that is not supported. */
export function readVaeConfig(name: string, text: string): VaeConfig {
  const keys = readPublicConfig(name, text);
  keys.choice("_class_name", ["AutoencoderKL"]);
  // The training size bounds nothing: it would only tell when to cut a picture into tiles.
  keys.ignore("_diffusers_version", "_name_or_path", "sample_size");
  keys.only(["silu", "swish"], "act_fn");
  keys.only([null], "latents_mean", "latents_std");
  const levels = keys.list("down_block_types", ["DownEncoderBlock2D"]).length;
  if (keys.list("up_block_types", ["UpDecoderBlock2D"]).length !== levels)
    throw keys.unsupported("up_block_types", `there must be as many as of down_block_types, ${levels}`);
  const config: VaeConfig = {
    inputs: keys.integer("in_channels", 3),
    outputs: keys.integer("out_channels", 3),
    latentChannels: keys.integer("latent_channels", 4),
    channels: keys.integers("block_out_channels", levels),
    blocks: keys.integer("layers_per_block", 1),
    groups: keys.integer("norm_num_groups", 32),
    quantizes: { encoder: keys.boolean("use_quant_conv", true), decoder: keys.boolean("use_post_quant_conv", true) },
    middleAttends: keys.boolean("mid_block_add_attention", true),
    scale: keys.number("scaling_factor", 0.18215),
    shift: keys.number("shift_factor", 0),
    wantsSingle: keys.boolean("force_upcast", true),
  };
  if (config.channels.some((width) => width % config.groups))
    throw keys.unsupported("block_out_channels", `each must be a multiple of norm_num_groups ${config.groups}`);
  if (config.middleAttends && config.channels.at(-1)! > 512)
    throw keys.unsupported("block_out_channels", "the middle attends with one head, of at most 512 channels");
  keys.finish();
  return config;
}
