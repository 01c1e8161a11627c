// The U-Nets of diffusers' `UNet2DConditionModel` as a graph: DeepFloyd IF's stages, Stable Diffusion's and its x4 upscaler's.
import { ReimagenError } from "../../errors.ts";
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { concat, conv2d, embedding, groupNorm, linear, toStorage } from "../../graph/layers.ts";
import { showShape } from "../../ops/op.ts";
import { namedWeights } from "../named_weights.ts";
import { addedAttention, type TextTokens, transformer } from "./attention.ts";
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
}

/**
 * Adds the model to the builder and returns what it predicts, [B, H, W, outputs], f32. It declares the step inputs that `unetTables`
 * fills: `rows` u32 [B], `table.text` u32 [B, 1, 2] and `table.level.<i>` u32 [B, 2, 2], where the model needs them.
 * Throws `shape` for a sample that it cannot halve, `argument` where `classes` is missing or too much.
 */
export function unet(g: GraphBuilder, config: UnetConfig, inputs: UnetInputs): Value {
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
    ? embedding(g, pooledText(g, config, states), g.input("rows", [batch], "step", "u32"))
    : undefined;
  const stack: Stack = {
    g,
    config,
    embedding: sumEmbedding(g, config, inputs.time, inputs.classes, pooled),
    tokens,
    table: tableInputs(g, batch),
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
  /** The table of a level's attention; `level` undefined: to the text alone. */
  readonly table: (level?: number) => Value;
}

/** Declares each table when it is first asked for. */
function tableInputs(g: GraphBuilder, batch: number): Stack["table"] {
  const declared = new Map<string, Value>();
  return (level) => {
    const name = tableName(level);
    const table = declared.get(name) ?? g.input(name, [batch, level === undefined ? 1 : 2, 2], "step", "u32");
    declared.set(name, table);
    return table;
  };
}

const tableName = (level?: number) => (level === undefined ? "table.text" : `table.level.${level}`);

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

function attend({ g, tokens, table }: Stack, name: string, x: Value, level: LevelConfig, finest: number): Value {
  const { attention, residual } = level;
  if (attention.kind === "none") return x;
  if (attention.kind === "transformer") {
    const text: TextTokens = { tokens, table: table() };
    return transformer(g, name, x, residual.groups, attention, text);
  }
  const seen = attention.onlyText ? table() : table(finest);
  return addedAttention(g, name, x, residual.groups, attention, tokens, seen);
}

/** The text that one evaluation sees: a row of the texts, and how many of its tokens, from the first. */
export interface ShownText {
  readonly row: number;
  readonly length: number;
}

/**
 * Values of the step inputs that `unet` declares, for an entry of `shown` each evaluation. The order of tokens means nothing to a U-Net, so
 * a mask with holes is told by sorting the tokens that count to the front of their row.
 */
export function unetTables(
  config: UnetConfig,
  [height, width]: readonly [number, number],
  shown: readonly ShownText[],
): Map<string, Uint32Array<ArrayBuffer>> {
  const tables = new Map<string, Uint32Array<ArrayBuffer>>();
  if (config.text.poolHeads)
    tables.set(
      "rows",
      Uint32Array.from(shown, ({ row }) => row),
    );
  const sizes = levelSizes(config, height, width);
  const last = sizes.length - 1;
  const levels = [
    ...config.down.map((level, i) => [level, i] as const),
    [config.middle, last] as const,
    ...config.up.map((level, i) => [level, last - i] as const),
  ];
  for (const [{ attention }, i] of levels) {
    if (attention.kind === "none") continue;
    const own = attention.kind === "added" && !attention.onlyText;
    const tokens = sizes[i]![0] * sizes[i]![1];
    const entries = shown.flatMap(({ row, length }, sample) => [...(own ? [sample, tokens] : []), row, length]);
    tables.set(tableName(own ? i : undefined), Uint32Array.from(entries));
  }
  return tables;
}
