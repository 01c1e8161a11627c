// The Re-Imagen models as the denoising loop takes them, and what a request writes into their inputs.
import type { TensorData } from "../graph/executor.ts";
import type { ModelConfig } from "../models/config.ts";
import { type Probe, type RequestShape, reimagen } from "../models/reimagen.ts";
import { neighborTables, type Shown, shortTables, stepTables } from "../models/tables.ts";
import type { Conditioning } from "./guidance.ts";
import type { Conditions } from "./inputs.ts";
import type { DenoisingModel, LoopShape } from "./loop.ts";

/** What distinguishes the loop of one request from another's. */
export interface ReimagenShape extends LoopShape, RequestShape {}

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

/** The model for requests of a shape. */
export function reimagenModel(config: ModelConfig, shape: RequestShape, probe?: Probe): DenoisingModel {
  return {
    extent: [config.size, config.size, 3],
    visible: true,
    build: (g, x) => ({ prediction: reimagen(g, config, shape, x, probe) }),
  };
}

/** What is written into its inputs, except the neighbours' pictures. `timestepUnit`: what one unit of a timestep is to the model, whose time runs from 0 to 1. */
export function reimagenConditions(
  config: ModelConfig,
  texts: RequestTexts,
  timestepUnit: number,
  shape: RequestShape,
): Conditions {
  return {
    request: requestValues(config, texts),
    step(timestep, shown) {
      const evaluations = shown.map((conditioning) => shownOf(texts, conditioning));
      return new Map<string, TensorData>([
        ["t", Float32Array.of(timestep * timestepUnit)],
        ...stepTables(config, evaluations),
        ...(shape.shortSteps ? shortTables(config, evaluations.slice(0, shape.pictures)) : []),
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
