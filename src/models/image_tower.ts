// A retriever's image tower as a graph: a small residual network over patches, and a projection of what lies where.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { add, averagePool, conv2d, groupNorm, linear, pixelUnshuffle } from "../graph/layers.ts";
import { namedWeights } from "./named_weights.ts";
import type { RetrieverConfig } from "./retriever_config.ts";

/** pictures [B, size, size, 3] in [-1, 1] -> [B, 1, 1, dim], not yet of unit length. */
export function imageTower(g: GraphBuilder, config: RetrieverConfig, pictures: Value): Value {
  const { size, patch, channels, blocks, norm_groups: groups, dim } = config;
  const weights = namedWeights(g);
  const norm = (name: string, x: Value, width: number) =>
    groupNorm(g, x, { ...weights.norm(`image.${name}`, width), groups }, "silu");
  const conv = (name: string, x: Value, inputs: number, outputs: number, stride: 1 | 2 = 1) =>
    conv2d(g, x, weights.conv(`image.${name}`, outputs, inputs, 3), { padding: 1, stride });

  let h = conv("stem", pixelUnshuffle(g, pictures, patch), 3 * patch ** 2, channels[0]!);
  channels.forEach((width, level) => {
    if (level > 0) h = conv(`shrink.${level - 1}`, h, channels[level - 1]!, width, 2);
    for (let index = 0; index < blocks[level]!; index++)
      h = g.scope(`levels.${level}.${index}`, () => {
        const name = `levels.${level}.${index}`;
        const first = conv(`${name}.conv1`, norm(`${name}.norm1`, h, width), width, width);
        return add(g, conv(`${name}.conv2`, norm(`${name}.norm2`, first, width), width, width), h);
      });
  });
  const last = channels.at(-1)!;
  const places = (size / patch) >> channels.length;
  const seen = pixelUnshuffle(g, averagePool(g, norm("norm", h, last)), places);
  return linear(g, seen, weights.linear("image.out", dim, places ** 2 * last), { dtype: "f32" });
}
