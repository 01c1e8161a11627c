// The shipped stages at their real sizes: what they need must fit the buffers that every browser gives.
import { expect, it } from "vitest";
import { denoisingLoop } from "../../src/diffusion/loop.ts";
import { type ReimagenShape, reimagenModel, usualLow } from "../../src/diffusion/reimagen.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { checkLimits } from "../../src/graph/limits.ts";
import { readConfig } from "../../src/models/config.ts";
import { fixtureText } from "../fixture.ts";
import { someTraits } from "../graph/graphs.ts";

it.each([
  { stage: "super-256", size: 256, neighbors: 8, most: 40e6 },
  { stage: "super-1024", size: 1024, neighbors: 0, most: 160e6 },
])("$stage, guided: a picture of $size pixels with $neighbors neighbours", async ({ stage, size, neighbors, most }) => {
  const config = readConfig(stage, await fixtureText(`weights/${stage}/config.json`));
  expect(config.size).toBe(size);
  const shape: ReimagenShape = {
    storage: "f32",
    pictures: 1,
    evaluations: 2,
    texts: 2,
    neighbors,
    low: usualLow(config)!,
    thresholding: { kind: "static", range: 1 },
    stochastic: false,
    multistep: true,
  };
  const traits = someTraits();
  const compiled = compileGraph(denoisingLoop(reimagenModel(config, shape), shape), traits);
  checkLimits(traits.limits, compiled);
  const { arenas } = compiled.memory;
  expect(arenas.reduce((sum, bytes) => sum + bytes)).toBeLessThan(most);
});
