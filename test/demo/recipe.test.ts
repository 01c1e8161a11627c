// Links hold recipes; and what the page says where there is no WebGPU.
import { expect, it } from "vitest";
import { adviceFor } from "../../src/web/demo/advice.ts";
import type { Recipe } from "../../src/web/demo/protocol.ts";
import { firstRecipe, linkOf, recipeOf, settingsOf } from "../../src/web/demo/recipe.ts";

it("a link gives back the recipe that it was made of", () => {
  const recipe: Recipe = {
    prompt: "ein Käse & eine Maus, 100% #1?",
    k: 0,
    excluded: [5, 81],
    pinned: [1234],
    sampler: "ddpm",
    steps: 33,
    seed: 2 ** 53 - 1,
    mode: "neighbor-only",
    eta: 0.35,
    gammaP: 1,
    gammaN: 7.75,
  };
  expect(recipeOf(linkOf(recipe))).toEqual(recipe);
  expect(recipeOf(linkOf(firstRecipe))).toEqual(firstRecipe);
  expect(settingsOf(recipe)).toEqual({
    sampler: "ddpm",
    steps: 33,
    seed: 2 ** 53 - 1,
    guidance: { mode: "neighbor-only", eta: 0.35, gammaP: 1, gammaN: 7.75 },
  });
});

it("an address without a recipe is none, and what makes no sense in a link takes its default", () => {
  expect(recipeOf("")).toBeUndefined();
  expect(recipeOf("neighbors-title")).toBeUndefined();
  const broken =
    "prompt=a+cat&k=9&eta=-1&gammaP=NaN&steps=2.5&sampler=toString&mode=%00&seed=-3&excluded=1,x,,2&pinned=1e3";
  expect(recipeOf(broken)).toEqual({ ...firstRecipe, prompt: "a cat", excluded: [1, 2] });
});

it("advice fits the browser", () => {
  const agents = {
    linux: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36",
    android:
      "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/110.0.0.0 Mobile Safari/537.36",
    firefox: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    safari:
      "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Safari/605.1.15",
  };
  const advice = (userAgent: string, facts = {}) =>
    adviceFor({ secure: true, hasWebGpu: false, userAgent, ...facts }).join(" ");
  expect(advice(agents.linux)).toContain("chrome://flags");
  expect(advice(agents.android)).toContain("121");
  expect(advice(agents.android)).not.toContain("chrome://flags");
  expect(advice(agents.firefox)).toContain("about:config");
  expect(advice(agents.safari)).toContain("Safari has WebGPU from version 26");
  expect(advice("something else")).toContain("Use Chrome or Edge");
  expect(advice(agents.linux, { secure: false })).toContain("https");
  expect(advice(agents.safari, { hasWebGpu: true })).toContain("settings");
});
