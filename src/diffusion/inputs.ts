// What one generation writes into the loop's inputs: once for the request, and a row of values for each step.
import type { Executor, TensorData } from "../graph/executor.ts";
import type { ModelConfig } from "../models/config.ts";
import { neighborTables, type Shown, stepTables } from "../models/tables.ts";
import type { GuidanceStep } from "./guidance.ts";
import { keyOf } from "./philox.ts";
import type { StepCoefficients } from "./step.ts";

/** A text as the encoder takes it: ids padded to the model's text length, and how many count. */
export interface EncodedText {
  readonly ids: Int32Array;
  readonly length: number;
}

/** All that one generation needs beside the neighbours' pictures, decided. */
export interface GenerationInputs {
  readonly prompt: EncodedText;
  /** The empty prompt, for evaluations without text. */
  readonly empty: EncodedText;
  /** One a neighbour. */
  readonly captions: readonly EncodedText[];
  /** One a picture. */
  readonly seeds: readonly number[];
  readonly coefficients: readonly StepCoefficients[];
  /** The steps of each picture. */
  readonly guidance: readonly (readonly GuidanceStep[])[];
  /** What one unit of `timestep` is to the model, whose time runs from 0 to 1. */
  readonly timestepUnit: number;
}

/** Which text row is which. */
const rows = { prompt: 0, empty: 1, captions: 2 };

/** Texts that a generation encodes besides captions. */
export const textRows = rows.captions;

/** Writes what does not change from step to step, except the neighbours' pictures. */
export function writeRequest(executor: Executor, config: ModelConfig, inputs: GenerationInputs): void {
  const { prompt, empty, captions, seeds } = inputs;
  const texts = [prompt, empty, ...captions];
  executor.write("text.ids", Uint32Array.from(texts.flatMap(({ ids }) => [...ids])));
  executor.write(
    "text.lengths",
    Uint32Array.from(texts, ({ length }) => length),
  );
  executor.write("text.table", Uint32Array.from(texts.flatMap(({ length }, row) => [row, length])));
  executor.write("noise.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), 0, 0])));
  if (captions.length === 0) return;
  const shown = captions.map(({ length }, i) => ({ row: rows.captions + i, length }));
  for (const [name, table] of neighborTables(config, shown)) executor.write(name, table);
}

/** The row of a step, as `takeStepRow` takes it. */
export function stepRow(executor: Executor, config: ModelConfig, inputs: GenerationInputs, step: number): Uint8Array {
  return executor.stepRow(stepValues(executor, config, inputs, step));
}

function stepValues(
  executor: Executor,
  config: ModelConfig,
  inputs: GenerationInputs,
  step: number,
): Map<string, TensorData> {
  const { coefficients, guidance, seeds, timestepUnit } = inputs;
  const { timestep, px, pm, cx, cm, c0, c1, cn, cv = 0 } = coefficients[step]!;
  const values = new Map<string, TensorData>([
    ["t", Float32Array.of(timestep * timestepUnit)],
    ["coefficients", Float32Array.of(px, pm, cx, cm, c0, c1, cn, cv)],
  ]);
  if (executor.has("step.key"))
    values.set("step.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), step + 1, 0])));
  const steps = guidance.map((of) => of[step]!);
  const shown = steps.map(({ conditional }) => shownOf(inputs, conditional));
  if (executor.has("weight")) {
    values.set(
      "weight",
      Float32Array.from(steps, ({ weight }) => weight),
    );
    // A step without guidance among others with it: base = conditional, and any weight gives the same.
    shown.push(...steps.map(({ base, conditional }) => shownOf(inputs, base ?? conditional)));
  }
  for (const [name, table] of stepTables(config, shown)) values.set(name, table);
  return values;
}

function shownOf(
  { prompt, empty, captions }: GenerationInputs,
  { text, neighbors }: { text: boolean; neighbors: boolean },
): Shown {
  return {
    text: text ? { row: rows.prompt, length: prompt.length } : { row: rows.empty, length: empty.length },
    neighbors: { first: 0, count: neighbors ? captions.length : 0 },
  };
}
