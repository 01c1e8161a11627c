// What one generation writes into the loop's inputs: once for the request, and a row of values for each step.
import type { Executor, TensorData } from "../graph/executor.ts";
import { type Conditioning, type GuidanceStep, sameText } from "./guidance.ts";
import { keyOf } from "./philox.ts";
import type { StepCoefficients } from "./step.ts";

/** What a request writes into a model's own inputs. */
export interface Conditions {
  /** What does not change from step to step. */
  readonly request: ReadonlyMap<string, TensorData>;
  /** The values of a step, for an entry of `shown` each evaluation. */
  step(timestep: number, shown: readonly Conditioning[]): ReadonlyMap<string, TensorData>;
}

/** All that one generation needs beside the neighbours' pictures, decided. */
export interface GenerationInputs {
  readonly conditions: Conditions;
  /** One a picture. */
  readonly seeds: readonly number[];
  readonly coefficients: readonly StepCoefficients[];
  /** The steps of each picture. */
  readonly guidance: readonly (readonly GuidanceStep[])[];
}

/** Whether each picture's evaluations at a step differ in neighbours alone. */
export function tellsSameText(guidance: GenerationInputs["guidance"], step: number): boolean {
  return guidance.every((of) => sameText(of[step]!));
}

/** Writes what does not change from step to step, except the neighbours' pictures. */
export function writeRequest(executor: Executor, { conditions, seeds }: GenerationInputs): void {
  for (const [name, data] of conditions.request) executor.write(name, data);
  executor.write("noise.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), 0, 0])));
}

/** The row of a step, as `takeStepRow` takes it. */
export function stepRow(executor: Executor, inputs: GenerationInputs, step: number): Uint8Array {
  const { conditions, coefficients, guidance, seeds } = inputs;
  const { timestep, px, pm, cx, cm, c0, c1, cn, cv = 0, weights } = coefficients[step]!;
  const values = new Map<string, TensorData>([["coefficients", Float32Array.of(px, pm, cx, cm, c0, c1, cn, cv)]]);
  if (weights) values.set("weights", Float32Array.from(weights));
  if (executor.has("step.key"))
    values.set("step.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), step + 1, 0])));
  const steps = guidance.map((of) => of[step]!);
  const shown = steps.map(({ conditional }) => conditional);
  if (executor.has("weight")) {
    values.set(
      "weight",
      Float32Array.from(steps, ({ weight }) => weight),
    );
    // A step without guidance among others with it: base = conditional, and any weight gives the same.
    shown.push(...steps.map(({ base, conditional }) => base ?? conditional));
  }
  for (const [name, data] of conditions.step(timestep, shown)) values.set(name, data);
  return executor.stepRow(values);
}
