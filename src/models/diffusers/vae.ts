// diffusers' `AutoencoderKL` as graphs: the decoder from latents to pictures, and the encoder back (Rombach et al., 2022).
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { conv2d, groupNorm, toStorage } from "../../graph/layers.ts";
import { namedWeights } from "../named_weights.ts";
import { wideAttention } from "./attention.ts";
import { enlarge, halve, residualBlock } from "./residual.ts";
import type { ResidualConfig } from "./unet_config.ts";
import type { VaeConfig } from "./vae_config.ts";

/** Latents [B, H, W, latentChannels], as the autoencoder has them (unscaled), f32 -> pictures [B, 2^(levels - 1) H, .. W, outputs] in about [-1, 1], f32. */
export function vaeDecoder(g: GraphBuilder, config: VaeConfig, latents: Value): Value {
  const { latentChannels, quantizes } = config;
  const channels = config.channels.toReversed();
  const weights = namedWeights(g);
  const given = quantizes.decoder
    ? g.scope("post_quant_conv", () =>
        conv2d(g, latents, weights.conv("post_quant_conv", latentChannels, latentChannels, 1)),
      )
    : latents;
  const entry = convolution(g, "decoder.conv_in", given, channels[0]!);
  let h = middle(g, config, "decoder.mid_block", entry);
  channels.forEach((width, level) => {
    const name = `decoder.up_blocks.${level}`;
    for (let block = 0; block <= config.blocks; block++)
      h = residualBlock(g, `${name}.resnets.${block}`, h, width, residual(config));
    const [, height, wide] = h.type.shape as [number, number, number];
    if (level < channels.length - 1) h = enlarge(g, `${name}.upsamplers.0`, h, 2 * height, 2 * wide);
  });
  return output(g, config, "decoder", h, config.outputs);
}

/**
 * Pictures [B, H, W, inputs] in [-1, 1], f32 -> mean and logarithm of the variance of their latents, side by side:
 * [B, H / 2^(levels - 1), .., 2 latentChannels], f32.
 */
export function vaeEncoder(g: GraphBuilder, config: VaeConfig, pictures: Value): Value {
  const { channels, latentChannels, quantizes } = config;
  let h = convolution(g, "encoder.conv_in", pictures, channels[0]!);
  channels.forEach((width, level) => {
    const name = `encoder.down_blocks.${level}`;
    for (let block = 0; block < config.blocks; block++)
      h = residualBlock(g, `${name}.resnets.${block}`, h, width, residual(config));
    if (level < channels.length - 1) h = halve(g, `${name}.downsamplers.0`, h, 0);
  });
  const moments = output(g, config, "encoder", middle(g, config, "encoder.mid_block", h), 2 * latentChannels);
  if (!quantizes.encoder) return moments;
  return g.scope("quant_conv", () =>
    conv2d(g, moments, namedWeights(g).conv("quant_conv", 2 * latentChannels, 2 * latentChannels, 1), { dtype: "f32" }),
  );
}

/**
 * The name that the decoder or the encoder has for a tensor of a whole autoencoder's checkpoint, for `selectTensors`; undefined for the
 * other half's. Checkpoints from before 2023 call the projections of attention otherwise.
 */
export function vaeTensorName(half: "decoder" | "encoder", name: string): string | undefined {
  const other = half === "decoder" ? /^(encoder|quant_conv)\./ : /^(decoder|post_quant_conv)\./;
  if (other.test(name)) return undefined;
  return name.replace(/(\.attentions\.\d+)\.(query|key|value|proj_attn)\./, (_, attention: string, old: string) => {
    const now = { query: "to_q", key: "to_k", value: "to_v", proj_attn: "to_out.0" }[old];
    return `${attention}.${now}.`;
  });
}

const EPSILON = 1e-6;

function residual({ groups }: VaeConfig): ResidualConfig {
  return { groups, epsilon: EPSILON, activation: "silu", scaleShift: false, divisor: 1 };
}

function middle(g: GraphBuilder, config: VaeConfig, name: string, x: Value): Value {
  const channels = config.channels.at(-1)!;
  const first = residualBlock(g, `${name}.resnets.0`, x, channels, residual(config));
  const seen = config.middleAttends ? wideAttention(g, `${name}.attentions.0`, first, config.groups) : first;
  return residualBlock(g, `${name}.resnets.1`, seen, channels, residual(config));
}

function convolution(g: GraphBuilder, name: string, x: Value, outputs: number): Value {
  return g.scope(name, () =>
    toStorage(g, conv2d(g, x, namedWeights(g).conv(name, outputs, x.type.shape[3]!, 3), { padding: 1 })),
  );
}

function output(g: GraphBuilder, { groups }: VaeConfig, name: string, h: Value, outputs: number): Value {
  const channels = h.type.shape[3]!;
  const weights = namedWeights(g);
  return g.scope(`${name}.conv_out`, () => {
    const norm = { ...weights.norm(`${name}.conv_norm_out`, channels), groups, epsilon: EPSILON };
    const normed = groupNorm(g, h, norm, "silu");
    return conv2d(g, normed, weights.conv(`${name}.conv_out`, outputs, channels, 3), { padding: 1, dtype: "f32" });
  });
}
