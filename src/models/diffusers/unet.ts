// The U-Nets of diffusers' `UNet2DConditionModel` as a graph: DeepFloyd IF's stages, Stable Diffusion's and its x4 upscaler's.
import { ReimagenError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { concat, conv2d, embedding, groupNorm, linear, toStorage } from "../../graph/layers.ts";
import { showShape } from "../../ops/op.ts";
import { namedWeights } from "../named_weights.ts";
import { addedAttention, type Exchange, type KeysAndValues, type TextTokens, transformer } from "./attention.ts";
import { pooledText, sumEmbedding } from "./embedding.ts";
import { enlarge, halve, residualBlock } from "./residual.ts";
import type { LevelConfig, UnetConfig } from "./unet_config.ts";

/** What one evaluation runs on. */
export interface UnetInputs {
  /** [B, H, W, inputs], f32. */
  readonly sample: Value;
  /** [1] or [B], f32, as the model was trained, such as 0 to 999. */
  readonly time: Value;
  /** The text encoder's states, [rows, T, text inputs]. */
  readonly text: Value;
  /** For a model that is told a second number: f32 [B], or u32 [B], rows of its table. */
  readonly classes?: Value;
  /** Other pictures that attentions see beside the sample. */
  readonly neighbors?: UnetNeighbors;
}

/** Neighbours, as attentions see them. */
export interface UnetNeighbors {
  /** Levels whose attentions see them, 0 being the finest. */
  readonly levels: readonly number[];
  /** What `unetKeysAndValues` made of them at these levels. */
  readonly keysAndValues: KeysAndValues;
}

/**
 * Adds the model to the builder and returns what it predicts, [B, H, W, outputs], f32. It declares the step inputs that `unetTables`
 * fills: `rows` u32 [B], `table.text` u32 [B, 1, 2], `table.level.<i>` u32 [B, 2 or, with neighbours, 3, 2] and `table.self.<i>` u32 [B, 2, 2],
 * where the model needs them. Throws `shape` for a sample that it cannot halve, `argument` where `classes` is missing or too much.
 */
export function unet(g: GraphBuilder, config: UnetConfig, inputs: UnetInputs): Value {
  const exchange = inputs.neighbors && { levels: inputs.neighbors.levels, taken: inputs.neighbors.keysAndValues };
  return evaluate(g, config, inputs, (name, shape) => g.input(name, shape, "step", "u32"), exchange);
}

/**
 * Evaluates the same model on neighbours [K, H, W, inputs], each with the text of its own row, whole, and none seeing another. Returns the keys and
 * values of their attentions at `levels`. Throws what `unet` throws.
 */
export function unetKeysAndValues(
  g: GraphBuilder,
  config: UnetConfig,
  inputs: UnetInputs,
  levels: readonly number[],
): KeysAndValues {
  const [count, height, width] = inputs.sample.type.shape as [number, number, number, number];
  const length = inputs.text.type.shape[1]!;
  const shown = Array.from({ length: count }, (_, row) => ({ row, length }));
  const tables = unetTables(config, [height, width], shown);
  const given = new Map<string, Value>();
  evaluate(g, config, inputs, (name, shape) => g.constant(tables.get(name)!, shape), { levels, given });
  return given;
}

function evaluate(
  g: GraphBuilder,
  config: UnetConfig,
  inputs: UnetInputs,
  table: Stack["table"],
  exchange: Stack["exchange"],
): Value {
  const [batch, height, width] = inputs.sample.type.shape as [number, number, number, number];
  levelSizes(config, height, width);
  if (Boolean(inputs.classes) !== (config.classes.kind !== "none"))
    throw new ReimagenError(
      "argument",
      `the U-Net is told ${inputs.classes ? "no" : "a"} second number besides the time`,
    );
  const weights = namedWeights(g);
  const states = toStorage(g, inputs.text);
  const tokens = config.text.projected
    ? g.scope("text", () => linear(g, states, weights.linear("encoder_hid_proj", config.text.dim, config.text.inputs)))
    : states;
  const pooled = config.text.poolHeads
    ? embedding(g, pooledText(g, config, states), table("rows", [batch]))
    : undefined;
  const stack: Stack = {
    g,
    config,
    embedding: sumEmbedding(g, config, inputs.time, inputs.classes, pooled),
    tokens,
    table: once(table),
    exchange,
  };
  const widest = config.down[0]!.channels;
  const entry = g.scope("conv_in", () =>
    toStorage(
      g,
      conv2d(g, inputs.sample, weights.conv("conv_in", widest, config.inputs, config.kernelIn), {
        padding: (config.kernelIn - 1) / 2,
      }),
    ),
  );
  const skips = downStack(stack, entry);
  const h = upStack(stack, middle(stack, skips.at(-1)!), skips);
  return g.scope("conv_out", () => {
    const { groups, epsilon, activation } = config.down[0]!.residual;
    const normed = groupNorm(g, h, { ...weights.norm("conv_norm_out", widest), groups, epsilon }, activation);
    return conv2d(g, normed, weights.conv("conv_out", config.outputs, widest, config.kernelOut), {
      padding: (config.kernelOut - 1) / 2,
      dtype: "f32",
    });
  });
}

/** Height and width of each level's feature map. Throws `shape` where a level cannot be halved and doubled again. */
export function levelSizes(config: UnetConfig, height: number, width: number): [height: number, width: number][] {
  const sizes: [number, number][] = [[height, width]];
  for (const { resample } of config.down.slice(0, -1)) {
    const [h, w] = sizes.at(-1)!;
    if (resample === "residual" && (h % 2 || w % 2))
      throw new ReimagenError(
        "shape",
        `height and width must be multiples of ${2 ** (config.down.length - 1)} for this U-Net, got ${showShape([height, width])}`,
      );
    // A convolution without padding at the beginning drops an odd row, one with it keeps it.
    const half = (extent: number) => (config.downPadding ? Math.ceil(extent / 2) : Math.floor(extent / 2));
    sizes.push([half(h), half(w)]);
  }
  return sizes;
}

interface Stack {
  readonly g: GraphBuilder;
  readonly config: UnetConfig;
  readonly embedding: Value;
  /** Text as attention reads it. */
  readonly tokens: Value;
  /** A table by its name, u32. */
  readonly table: (name: string, shape: readonly number[]) => Value;
  /** What attentions at these levels give to others, or take from them. */
  readonly exchange: (Pick<Exchange, "given" | "taken"> & { readonly levels: readonly number[] }) | undefined;
}

/** Makes each table when it is first asked for. */
function once(make: Stack["table"]): Stack["table"] {
  const made = new Map<string, Value>();
  return (name, shape) => {
    const table = made.get(name) ?? make(name, shape);
    made.set(name, table);
    return table;
  };
}

/** Every feature map on the way down, in order. */
function downStack(stack: Stack, entry: Value): Value[] {
  const { g, config, embedding } = stack;
  const skips = [entry];
  config.down.forEach((level, i) => {
    const name = `down_blocks.${i}`;
    for (let block = 0; block < level.blocks; block++)
      skips.push(residualAndAttention(stack, name, block, skips.at(-1)!, level, i));
    const h = skips.at(-1)!;
    if (level.resample === "residual")
      skips.push(
        residualBlock(g, `${name}.downsamplers.0`, h, level.channels, level.residual, { embedding, resample: "half" }),
      );
    if (level.resample === "convolution") skips.push(halve(g, `${name}.downsamplers.0`, h, config.downPadding));
  });
  return skips;
}

function middle(stack: Stack, x: Value): Value {
  const { g, config, embedding } = stack;
  const { channels, residual } = config.middle;
  const first = residualBlock(g, "mid_block.resnets.0", x, channels, residual, { embedding });
  const seen = attend(stack, "mid_block.attentions.0", first, config.middle, config.down.length - 1);
  return residualBlock(g, "mid_block.resnets.1", seen, channels, residual, { embedding });
}

function upStack(stack: Stack, entry: Value, skips: readonly Value[]): Value {
  const { g, config, embedding } = stack;
  const remaining = [...skips];
  let h = entry;
  config.up.forEach((level, i) => {
    const name = `up_blocks.${i}`;
    for (let block = 0; block < level.blocks; block++)
      h = residualAndAttention(stack, name, block, concat(g, h, remaining.pop()!), level, config.down.length - 1 - i);
    if (level.resample === "residual")
      h = residualBlock(g, `${name}.upsamplers.0`, h, level.channels, level.residual, {
        embedding,
        resample: "double",
      });
    if (level.resample === "convolution") {
      const [, height, width] = remaining.at(-1)!.type.shape as [number, number, number];
      h = enlarge(g, `${name}.upsamplers.0`, h, height, width);
    }
  });
  return h;
}

/** One residual block of a level, and the attention behind it. `finest`: the level counted from the finest. */
function residualAndAttention(
  stack: Stack,
  name: string,
  block: number,
  x: Value,
  level: LevelConfig,
  finest: number,
): Value {
  const { g, embedding } = stack;
  const h = residualBlock(g, `${name}.resnets.${block}`, x, level.channels, level.residual, { embedding });
  return attend(stack, `${name}.attentions.${block}`, h, level, finest);
}

function attend(stack: Stack, name: string, x: Value, level: LevelConfig, finest: number): Value {
  const { g, tokens, table } = stack;
  const { attention, residual } = level;
  if (attention.kind === "none") return x;
  const batch = x.type.shape[0]!;
  const exchange: Exchange = stack.exchange?.levels.includes(finest) && !attention.onlyText ? stack.exchange : {};
  if (attention.kind === "transformer") {
    const text: TextTokens = { tokens, table: table("table.text", [batch, 1, 2]) };
    const takes = exchange.taken && { table: table(`table.self.${finest}`, [batch, 2, 2]) };
    return transformer(g, name, x, residual.groups, attention, text, { ...exchange, ...takes });
  }
  const seen = attention.onlyText
    ? table("table.text", [batch, 1, 2])
    : table(`table.level.${finest}`, [batch, exchange.taken ? 3 : 2, 2]);
  return addedAttention(g, name, x, residual.groups, attention, tokens, seen, exchange);
}

/** What one evaluation sees: a row of the texts, how many of its tokens, from the first, and how many of the neighbours, from the first. */
export interface Shown {
  readonly row: number;
  readonly length: number;
  /** None when absent. */
  readonly neighbors?: number;
}

/** Neighbours that an evaluation may see: at which levels, and of what size they are. */
export interface NeighborSizes {
  readonly levels: readonly number[];
  readonly height: number;
  readonly width: number;
}

/**
 * Values of the step inputs that `unet` declares, for an entry of `shown` each evaluation. The order of tokens means nothing to a U-Net, so
 * a mask with holes is told by sorting the tokens that count to the front of their row.
 */
export function unetTables(
  config: UnetConfig,
  [height, width]: readonly [number, number],
  shown: readonly Shown[],
  neighbors?: NeighborSizes,
): Map<string, Uint32Array<ArrayBuffer>> {
  const tables = new Map<string, Uint32Array<ArrayBuffer>>();
  const fill = (name: string, entry: (shown: Shown, sample: number) => readonly number[]) =>
    tables.set(name, Uint32Array.from(shown.flatMap(entry)));
  const sizes = levelSizes(config, height, width);
  const neighborSizes = neighbors && levelSizes(config, neighbors.height, neighbors.width);
  const tokens = (of: typeof sizes | undefined, level: number) => (of ? of[level]![0] * of[level]![1] : 0);
  if (config.text.poolHeads) fill("rows", ({ row }) => [row]);
  for (const [{ attention }, level] of levelsOf(config)) {
    if (attention.kind === "none") continue;
    const own = (sample: number) => [sample, tokens(sizes, level)];
    const others = ({ neighbors: count = 0 }: Shown) =>
      neighbors?.levels.includes(level) ? [0, count * tokens(neighborSizes, level)] : [];
    if (attention.kind === "added" && !attention.onlyText)
      fill(`table.level.${level}`, (each, sample) => [...own(sample), each.row, each.length, ...others(each)]);
    else fill("table.text", ({ row, length }) => [row, length]);
    if (attention.kind === "transformer" && !attention.onlyText && neighbors?.levels.includes(level))
      fill(`table.self.${level}`, (each, sample) => [...own(sample), ...others(each)]);
  }
  return tables;
}

/** Levels, 0 being the finest, where feature maps attend to themselves, so that neighbours can join them. */
export function selfAttentionLevels(config: UnetConfig): number[] {
  const levels = levelsOf(config).flatMap(([{ attention }, level]) =>
    attention.kind === "none" || attention.onlyText ? [] : [level],
  );
  return [...new Set(levels)].sort((a, b) => a - b);
}

/** All parts of the model, each with its level. */
function levelsOf(config: UnetConfig): (readonly [LevelConfig, number])[] {
  const last = config.down.length - 1;
  return [
    ...config.down.map((level, i) => [level, i] as const),
    [config.middle, last],
    ...config.up.map((level, i) => [level, last - i] as const),
  ];
}
