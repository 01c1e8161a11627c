// Everything that a sampling run leaves to the user, with defaults and one check.
import { checkGuidance, type GuidanceSettings } from "./guidance.ts";
import { keyOf } from "./philox.ts";
import { checkSampler, type SamplerOptions } from "./samplers.ts";
import { checkThresholding, type Thresholding } from "./thresholding.ts";

/** A sampling run: the sampler with its options, thresholding of x0, guidance, and the seed of all randomness. */
export interface SamplingSettings extends SamplerOptions {
  thresholding: Thresholding;
  guidance: GuidanceSettings;
  /** Whole number in [0, 2^53). */
  seed: number;
}

/** Settings as a user writes them: whatever is missing takes its default, also within guidance. */
export type PartialSettings = Partial<Omit<SamplingSettings, "guidance">> & { guidance?: Partial<GuidanceSettings> };

/**
 * The shipped model's recipe: 20 steps of DPM-Solver++(2M), x0 clipped to [-1, 1], interleaved guidance that weighs neighbours twice as much as the text: held-out
 * things are then named more often, and scenes suffer nothing.
 */
export const defaultSettings: SamplingSettings = {
  sampler: "dpm-solver++",
  steps: 20,
  thresholding: { kind: "static", range: 1 },
  guidance: { mode: "interleaved", choice: "periodic", eta: 0.5, gammaP: 3, gammaN: 6 },
  seed: 0,
};

/** What suits super-resolution stages: 10 steps of DDIM, unguided, as the smaller picture says nearly all. */
export const upscalingSettings: SamplingSettings = {
  ...defaultSettings,
  sampler: "ddim",
  steps: 10,
  guidance: { ...defaultSettings.guidance, mode: "none" },
};

/** Fills in the defaults and checks every range that needs no schedule. Throws `argument`. */
export function samplingSettings(settings: PartialSettings, defaults = defaultSettings): SamplingSettings {
  const guidance = withDefaults(defaults.guidance, settings.guidance ?? {});
  const complete = withDefaults(defaults, { ...settings, guidance });
  checkSampler(complete);
  checkThresholding(complete.thresholding);
  checkGuidance(complete.guidance);
  keyOf(complete.seed);
  return complete;
}

// A property that is present but undefined counts as missing.
function withDefaults<T extends object>(defaults: T, given: Partial<T>): T {
  return { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) };
}
