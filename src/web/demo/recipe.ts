// Recipes: their defaults, their settings, and the links that hold them.
import { defaultSettings, type PartialSettings } from "../../index.ts";
import type { Recipe } from "./protocol.ts";

const { guidance } = defaultSettings;

/** What the page opens with. */
export const firstRecipe: Recipe = {
  prompt: "a pineapple on the beach",
  k: 2,
  excluded: [],
  pinned: [],
  sampler: defaultSettings.sampler,
  steps: defaultSettings.steps,
  seed: 7,
  mode: guidance.mode,
  eta: guidance.eta,
  gammaP: guidance.gammaP,
  gammaN: guidance.gammaN,
};

/** Samplers and modes of guidance, as the page calls them. */
export const samplerNames: Readonly<Record<Recipe["sampler"], string>> = {
  "dpm-solver++": "DPM-Solver++",
  ddim: "DDIM",
  ddpm: "DDPM",
  pndm: "PNDM",
};
export const modeNames: Readonly<Record<Recipe["mode"], string>> = {
  interleaved: "interleaved",
  entangled: "entangled",
  "text-only": "text only",
  "neighbor-only": "neighbours only",
  none: "none",
};

/** Least, greatest and step of what has a slider. */
export const ranges = {
  k: { min: 0, max: 8, step: 1 },
  eta: { min: 0, max: 1, step: 0.05 },
  gammaP: { min: 0, max: 8, step: 0.25 },
  gammaN: { min: 0, max: 8, step: 0.25 },
  steps: { min: 2, max: 60, step: 1 },
} as const;

/** Seeds that fit a field. */
export const seedLimit = 1e6;

/** A recipe's settings as the engine takes them. */
export function settingsOf({ sampler, steps, seed, mode, eta, gammaP, gammaN }: Recipe): PartialSettings {
  return { sampler, steps, seed, guidance: { mode, eta, gammaP, gammaN } };
}

/** The part of a link after `#`: what differs from the defaults, and the prompt. */
export function linkOf(recipe: Recipe): string {
  const parameters = new URLSearchParams();
  for (const key of Object.keys(firstRecipe) as (keyof Recipe)[]) {
    const value = String(recipe[key]);
    if (key === "prompt" || key === "seed" || value !== String(firstRecipe[key])) parameters.set(key, value);
  }
  return parameters.toString();
}

/** The recipe of such a link; undefined for an empty one. What does not make sense takes its default. */
export function recipeOf(link: string): Recipe | undefined {
  const parameters = new URLSearchParams(link);
  const prompt = parameters.get("prompt");
  if (prompt === null) return undefined;
  const number = (key: "k" | "eta" | "gammaP" | "gammaN" | "steps") => {
    const value = Number(parameters.get(key) ?? Number.NaN);
    const { min, max, step } = ranges[key];
    return value >= min && value <= max && (step < 1 || Number.isInteger(value)) ? value : firstRecipe[key];
  };
  const ids = (key: "excluded" | "pinned") =>
    (parameters.get(key) ?? "")
      .split(",")
      .filter((id) => /^\d+$/.test(id))
      .map(Number);
  const name = <T extends string>(key: string, names: Readonly<Record<T, string>>, otherwise: T) => {
    const value = parameters.get(key);
    return value !== null && Object.hasOwn(names, value) ? (value as T) : otherwise;
  };
  const seed = Number(parameters.get("seed") ?? Number.NaN);
  return {
    prompt,
    k: number("k"),
    excluded: ids("excluded"),
    pinned: ids("pinned"),
    sampler: name("sampler", samplerNames, firstRecipe.sampler),
    steps: number("steps"),
    seed: Number.isSafeInteger(seed) && seed >= 0 ? seed : firstRecipe.seed,
    mode: name("mode", modeNames, firstRecipe.mode),
    eta: number("eta"),
    gammaP: number("gammaP"),
    gammaN: number("gammaN"),
  };
}
