// The cascade (Ho et al., 2021): a base stage draws, and super-resolution stages enlarge what it drew, one after the other.
import type { Picture } from "../io/picture.ts";
import type { Engine, GenerateOptions } from "./engine.ts";
import type { Generated } from "./generation.ts";
import type { LowPictures } from "./low.ts";
import { extentOf } from "./reimagen.ts";
import type { GenerationRequest } from "./request.ts";
import { type PartialSettings, type SamplingSettings, samplingSettings } from "./settings.ts";

/** What to draw, and how to enlarge it. */
export interface CascadeRequest extends GenerationRequest {
  /** Settings of the stages after the first, the seed aside. What is missing is each stage's own default. */
  readonly upscaling?: Omit<PartialSettings, "seed">;
}

/** Options of `generateCascade`. */
export interface CascadeOptions extends GenerateOptions {
  /** Called before a stage draws; the stages after the first draw one picture after the other. Counted from 0. */
  readonly onStage?: (stage: number, picture: number) => void;
}

/** Finished pictures of the last stage. */
export interface CascadeResult extends Generated {
  /** What each stage drew with; `settings` are those of the first. */
  readonly stages: readonly SamplingSettings[];
}

/**
 * Draws with a first stage, and enlarges with one super-resolution stage after the other, which see the neighbours where they take any. What a
 * stage would refuse is refused before the first begins. Throws what `generate` throws.
 */
export async function generateCascade(
  [first, ...upscalers]: readonly [Engine, ...Engine[]],
  { upscaling = {}, ...request }: CascadeRequest,
  { onStage, ...options }: CascadeOptions = {},
): Promise<CascadeResult> {
  const { seed } = samplingSettings(request.settings ?? {});
  const warnings = new Set(first.warnings(request));
  const enlargement = ({ config }: Engine, low: LowPictures, picture: number): GenerationRequest => {
    const { prompt, noiseLevel, neighbors } = request;
    return {
      prompt,
      low,
      settings: { ...upscaling, seed: seed + picture },
      ...(noiseLevel !== undefined && { noiseLevel }),
      ...(neighbors && config.neighbors && { neighbors }),
    };
  };
  let extent = extentOf(first.config, request.low);
  for (const upscaler of upscalers) {
    const blank = { ...extent, values: new Float32Array(extent.width * extent.height * 3) };
    for (const warning of upscaler.warnings(enlargement(upscaler, blank, 0))) warnings.add(warning);
    extent = extentOf(upscaler.config, blank);
  }

  onStage?.(0, 0);
  const drawn = await first.generate(request, options);
  const stages = [drawn.settings];
  let { pictures, values } = drawn;
  for (const [i, upscaler] of upscalers.entries()) {
    const enlarged: Generated[] = [];
    for (const [picture, low] of single(values).entries()) {
      onStage?.(i + 1, picture);
      enlarged.push(await upscaler.generate(enlargement(upscaler, low, picture), options));
    }
    pictures = enlarged.flatMap((each): readonly Picture[] => each.pictures);
    values = joined(enlarged.map((each) => each.values));
    stages.push(enlarged[0]!.settings);
  }
  return { pictures, values, settings: drawn.settings, stages, warnings: [...warnings] };
}

/** The pictures one by one: large ones together would outgrow a device's buffers. */
function single({ width, height, values }: LowPictures): LowPictures[] {
  const each = width * height * 3;
  const count = values.length / each;
  return Array.from({ length: count }, (_, i) => ({ width, height, values: values.slice(i * each, (i + 1) * each) }));
}

function joined(all: readonly LowPictures[]): LowPictures {
  const { width, height, values } = all[0]!;
  const together = new Float32Array(values.length * all.length);
  for (const [i, one] of all.entries()) together.set(one.values, i * values.length);
  return { width, height, values: together };
}
