// Residual blocks and changes of resolution, as diffusers' U-Nets and autoencoders have them.
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { add, averagePool, conv2d, groupNorm, linear, resizeNearest, upsample2x } from "../../graph/layers.ts";
import { namedWeights } from "../named_weights.ts";
import type { ResidualConfig } from "./unet_config.ts";

/** What a residual block does besides. */
export interface ResidualOptions {
  /** Time, class and text, activated: [1 or B, time dim], f32. */
  readonly embedding?: Value | undefined;
  /** Halves the feature map by means of 2x2, or doubles it by nearest neighbour, between the first norm and its convolution. */
  readonly resample?: "half" | "double";
}

/** `ResnetBlock2D`: x [B, H, W, C] -> [B, H, W, outputs], or of the changed size. */
export function residualBlock(
  g: GraphBuilder,
  name: string,
  x: Value,
  outputs: number,
  { groups, epsilon, activation, scaleShift, divisor }: ResidualConfig,
  { embedding, resample }: ResidualOptions = {},
): Value {
  const inputs = x.type.shape[3]!;
  const weights = namedWeights(g);
  const resized = (h: Value) =>
    resample === "half" ? averagePool(g, h) : resample === "double" ? upsample2x(g, h) : h;
  return g.scope(name, () => {
    const first = groupNorm(g, x, { ...weights.norm(`${name}.norm1`, inputs), groups, epsilon }, activation);
    const conv1 = weights.conv(`${name}.conv1`, outputs, inputs, 3);
    const time =
      embedding &&
      linear(
        g,
        embedding,
        weights.linear(`${name}.time_emb_proj`, (scaleShift ? 2 : 1) * outputs, embedding.type.shape.at(-1)!),
        { dtype: "f32" },
      );
    // Added to every pixel alike, the time is a bias of the convolution.
    const bias = time && !scaleShift ? add(g, time, conv1.bias) : conv1.bias;
    const h = conv2d(g, resized(first), { ...conv1, bias }, { padding: 1 });
    const norm2 = { ...weights.norm(`${name}.norm2`, outputs), groups, epsilon, film: scaleShift ? time : undefined };
    const second = groupNorm(g, h, norm2, activation);
    const entry = resized(x);
    const skip =
      inputs === outputs ? entry : conv2d(g, entry, weights.conv(`${name}.conv_shortcut`, outputs, inputs, 1));
    const conv2 = conv2d(g, second, weights.conv(`${name}.conv2`, outputs, outputs, 3), { padding: 1 });
    return add(g, conv2, skip, "none", 1 / divisor);
  });
}

/** `Downsample2D`: x [B, H, W, C] -> [B, H / 2, W / 2, C], rounded up with padding 1, down with padding 0. */
export function halve(g: GraphBuilder, name: string, x: Value, padding: 0 | 1): Value {
  const channels = x.type.shape[3]!;
  return g.scope(name, () =>
    conv2d(g, x, namedWeights(g).conv(`${name}.conv`, channels, channels, 3), {
      stride: 2,
      padding,
      paddingEnd: 1,
    }),
  );
}

/** `Upsample2D`: x [B, H, W, C] -> [B, height, width, C], twice the size unless the feature map to meet was halved from an odd one. */
export function enlarge(g: GraphBuilder, name: string, x: Value, height: number, width: number): Value {
  const channels = x.type.shape[3]!;
  return g.scope(name, () =>
    conv2d(g, resizeNearest(g, x, height, width), namedWeights(g).conv(`${name}.conv`, channels, channels, 3), {
      padding: 1,
    }),
  );
}
