// The Re-Imagen models as the denoising loop takes them, and what a request writes into their inputs.

import { ReimagenError } from "../errors.ts";
import type { TensorData } from "../graph/executor.ts";
import { type ModelConfig, sizeUnit } from "../models/config.ts";
import { type Probe, type RequestShape, reimagen } from "../models/reimagen.ts";
import { residualCoefficients } from "../models/residual.ts";
import { neighborTables, type Shown, shortTables, stepTables } from "../models/tables.ts";
import type { Conditioning } from "./guidance.ts";
import type { Conditions } from "./inputs.ts";
import type { DenoisingModel, LoopShape } from "./loop.ts";
import { type Extent, type LowPictures, lowInputs, noisedLow } from "./low.ts";
import { type AlphaSigma, alphaSigma, type NoiseSchedule } from "./schedule.ts";

/** What distinguishes the model's graph for one request from that for another. */
export interface ModelShape extends RequestShape {
  /** Of the smaller pictures, for super-resolution stages. */
  readonly low?: Extent;
}

/** What distinguishes the loop of one request from another's. */
export interface ReimagenShape extends LoopShape, ModelShape {}

/** A text as the encoder takes it: ids padded to the model's text length, and how many count. */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly length: number;
}

/** The texts of a request. */
export interface RequestTexts {
  readonly prompt: EncodedText;
  /** The empty prompt, for evaluations without text. */
  readonly empty: EncodedText;
  /** One a neighbour. */
  readonly captions: readonly EncodedText[];
}

/** Which text row is which. */
const rows = { prompt: 0, empty: 1, captions: 2 };

/** Texts that a generation encodes besides captions. */
export const textRows = rows.captions;

/** The smaller picture of a super-resolution stage that draws at its own size. */
export function usualLow({ cond_channels, size, low_factor }: ModelConfig): Extent | undefined {
  return cond_channels ? { height: size / low_factor, width: size / low_factor } : undefined;
}

/** How large the model draws. Throws `argument` where that is no size that it can draw at. */
export function extentOf(config: ModelConfig, low: Extent | undefined): Extent {
  const { size, low_factor: factor } = config;
  if (!low) return { height: size, width: size };
  const unit = sizeUnit(config);
  const extent = { height: low.height * factor, width: low.width * factor };
  if (extent.height % unit || extent.width % unit)
    throw new ReimagenError(
      "argument",
      `this model draws ${factor} times the smaller picture's size, in multiples of ${unit}, but that would be ${extent.width}x${extent.height}`,
    );
  return extent;
}

/** The model for requests of a shape. Throws what `extentOf` throws. */
export function reimagenModel(config: ModelConfig, shape: ModelShape, probe?: Probe): DenoisingModel {
  const { pictures, low } = shape;
  const extent = extentOf(config, low);
  return {
    extent: [extent.height, extent.width, 3],
    visible: true,
    build(g, x) {
      // As in training: noise that such a picture may have itself.
      const noised = low && noisedLow(g, { pictures, ...extent }, low, "bilinear", "before");
      return { prediction: reimagen(g, config, shape, x, probe, noised) };
    },
  };
}

/** The smaller pictures of a request, and how noisy they are made: as the model is told it, and as scales. */
export interface NoisedLow {
  readonly pictures: LowPictures;
  readonly level: number;
  readonly scales: AlphaSigma;
  /** One a picture. */
  readonly seeds: readonly number[];
}

/** What one unit of a schedule's timestep is to the model, whose time runs from 0 to 1. */
export function timestepUnit({ kind }: NoiseSchedule): number {
  return kind === "cosine" ? 1 : 1 / 1000;
}

/** What is written into its inputs, except the neighbours' pictures. */
export function reimagenConditions(
  config: ModelConfig,
  texts: RequestTexts,
  schedule: NoiseSchedule,
  shape: RequestShape,
  low?: NoisedLow,
): Conditions {
  const request = requestValues(config, texts);
  if (low) {
    for (const [name, data] of lowInputs(low.pictures, low.scales, low.seeds)) request.set(name, data);
    request.set("level", Float32Array.of(low.level));
  }
  const { height, width } = extentOf(config, low?.pictures);
  const { residual_std: std } = config;
  return {
    request,
    step(timestep, shown) {
      const evaluations = shown.map((conditioning) => shownOf(texts, conditioning));
      return new Map<string, TensorData>([
        ["t", Float32Array.of(timestep * timestepUnit(schedule))],
        ...(low && std
          ? [["residual", residualCoefficients(std, alphaSigma(schedule, timestep), low.scales)] as const]
          : []),
        ...stepTables(config, evaluations, [height, width]),
        ...(shape.shortSteps ? shortTables(config, evaluations.slice(0, shape.pictures), [height, width]) : []),
      ]);
    },
  };
}

function requestValues(config: ModelConfig, { prompt, empty, captions }: RequestTexts): Map<string, TensorData> {
  const texts = [prompt, empty, ...captions];
  const values = new Map<string, TensorData>([
    ["text.ids", Uint32Array.from(texts.flatMap(({ ids }) => [...ids]))],
    ["text.lengths", Uint32Array.from(texts, ({ length }) => length)],
    ["text.table", Uint32Array.from(texts.flatMap(({ length }, row) => [row, length]))],
  ]);
  if (captions.length === 0) return values;
  const shown = captions.map(({ length }, i) => ({ row: rows.captions + i, length }));
  for (const [name, table] of neighborTables(config, shown)) values.set(name, table);
  return values;
}

function shownOf({ prompt, empty, captions }: RequestTexts, { text, neighbors }: Conditioning): Shown {
  return {
    text: text ? { row: rows.prompt, length: prompt.length } : { row: rows.empty, length: empty.length },
    neighbors: { first: 0, count: neighbors ? captions.length : 0 },
  };
}
