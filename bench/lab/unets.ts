// The heavy ops of U-Nets of known sizes, at every level: what full-size models would run.
import { type Graph, GraphBuilder, type Value } from "../../src/graph/graph.ts";
import { attention, averagePool, conv2d, geglu, groupNorm, linear } from "../../src/graph/layers.ts";
import { blendTiles } from "../../src/ops/blend_tiles.ts";
import { conv2d as conv2dOp } from "../../src/ops/conv2d.ts";
import { slice } from "../../src/ops/slice.ts";
import { type CaseSet, nameOf, type OpCase } from "./cases.ts";

/** A U-Net's sizes, a list entry a level, finest first. */
interface UnetSizes {
  readonly set: CaseSet;
  readonly channels: readonly number[];
  /** Pixels a side of the finest level; each further one has half. */
  readonly side: number;
  /** Of each level; 0 where nothing attends. */
  readonly headDims: readonly number[];
  readonly textTokens: number;
  readonly groups: number;
}

/** Guidance evaluates twice at once. */
const BATCH = 2;

/** As Imagen's and DeepFloyd IF's largest base stage: 704 to 2816 channels at 64 to 8 pixels, heads of 64. */
const imagen: UnetSizes = {
  set: "imagen",
  channels: [704, 1408, 2112, 2816],
  side: 64,
  headDims: [0, 64, 64, 64],
  textTokens: 77,
  groups: 32,
};

/** As Stable Diffusion 1's: 320 to 1280 channels at 64 to 8 pixels, eight heads, whose feed-forward layers are gated. */
const sd: UnetSizes = {
  set: "sd",
  channels: [320, 640, 1280, 1280],
  side: 64,
  headDims: [40, 80, 160, 160],
  textTokens: 77,
  groups: 32,
};

/** The cases of both, in one storage. */
export function unetCases(storage: "f32" | "f16"): OpCase[] {
  return [imagen, sd].flatMap((sizes) => casesOf(sizes, storage));
}

function casesOf(sizes: UnetSizes, storage: "f32" | "f16"): OpCase[] {
  const g = new GraphBuilder(storage);
  for (const level of sizes.channels.keys()) addLevel(g, sizes, level);
  // Of an upscaler in tiles; never in half precision.
  if (sizes.set === "sd" && storage === "f32") addTiles(g, sizes.side);
  // Of a model that predicts the variance beside the noise.
  if (sizes.set === "imagen" && storage === "f32")
    g.apply(slice, [g.input("both", [BATCH, sizes.side, sizes.side, 6], "step")], { from: 3, count: 3 });
  const graph: Graph = g.finish();
  const heavy = graph.nodes.map((node): OpCase => ({ set: sizes.set, name: nameOf(node), node, uses: 0 }));
  return [...new Map(heavy.map((entry) => [entry.name, entry])).values()];
}

/** Four tiles as one latent of nearly twice the side. */
function addTiles(g: GraphBuilder, side: number): void {
  const tiles = g.input("tiles", [4, BATCH, side, side, 4], "step");
  const shares = g.input("shares", [2, (7 * side) / 4], "step");
  g.apply(blendTiles, [tiles, shares, shares], { rows: 2, columns: 2 });
}

function addLevel(g: GraphBuilder, sizes: UnetSizes, level: number): void {
  const side = sizes.side >> level;
  const channels = sizes.channels[level]!;
  let inputs = 0;
  const tensor = (...shape: number[]): Value => {
    const value = g.input(`${sizes.set}.${level}.${inputs++}`, shape, "step", g.storage);
    return value;
  };
  const vector = (length: number) => g.constant(new Float32Array(length), [length]);
  const matrix = (i: number, o: number) => ({ weight: tensor(i, o), bias: vector(o) });
  const kernel = (size: number, i: number, o: number) => ({ weight: tensor(size, size, i, o), bias: vector(o) });
  const map = () => tensor(BATCH, side, side, channels);

  conv2d(g, map(), kernel(3, channels, channels), { padding: 1 });
  // The up-stack's first convolution reads the skip beside x, as fusing leaves it.
  const joined = kernel(3, 2 * channels, channels);
  g.apply(conv2dOp, [map(), map(), joined.weight, joined.bias, null], { padding: 1 });
  const film = g.input(`${sizes.set}.${level}.film`, [BATCH, 2 * channels], "step");
  groupNorm(g, map(), { gamma: vector(channels), beta: vector(channels), groups: sizes.groups, film }, "silu");
  const below = sizes.channels[level + 1];
  if (below && sizes.set === "sd") conv2d(g, map(), kernel(3, channels, below), { stride: 2, padding: 1 });
  if (below && sizes.set === "imagen") averagePool(g, map());
  const headDim = sizes.headDims[level]!;
  if (!headDim) return;
  linear(g, map(), matrix(channels, 3 * channels));
  if (sizes.set === "sd") geglu(g, tensor(BATCH, side, side, 8 * channels));
  const qkv = tensor(BATCH, side, side, 3 * channels);
  const text = tensor(BATCH, sizes.textTokens, 2 * channels);
  const table = g.input(`${sizes.set}.${level}.table`, [BATCH, 2, 2], "step", "u32");
  attention(
    g,
    { q: qkv, table, segments: [qkv, text] },
    {
      heads: channels / headDim,
      headDim,
      scale: headDim ** -0.5,
      queries: 0,
      segments: [
        { keys: channels, values: 2 * channels },
        { keys: 0, values: channels },
      ],
    },
  );
}
