// One request, from words to pixels, in Node and on this page: retrieval, decoding, text encoder, all steps of the shipped model.
import { expect, it } from "vitest";
import { commands } from "vitest/browser";
import { createEngine, fetchDatabase, fetchModel, requestGpu } from "../../src/index.ts";
import type { DrawnRequest } from "./draw-in-node.ts";

declare module "vitest/browser" {
  interface BrowserCommands {
    drawInNode(request: DrawnRequest): Promise<number[]>;
  }
}

it("the same seed draws the same picture in Node and in a browser", async () => {
  const request = { prompt: "a pineapple on the beach", k: 2, seed: 4, steps: 8 };
  const inNode = await commands.drawInNode(request);

  const gpu = await requestGpu();
  const engine = await createEngine(gpu, await fetchModel(new URL("/weights/emoji-64", location.href)));
  const database = await fetchDatabase(new URL("/weights/emoji-db", location.href));
  const { prompt, k, seed, steps } = request;
  const neighbors = await Promise.all(
    database
      .search(prompt, { k })
      .map(async ({ entry }) => ({ picture: await database.picture(entry), caption: entry.caption })),
  );
  const { pictures } = await engine.generate({ prompt, neighbors, settings: { seed, steps } });
  gpu.dispose();

  const here = pictures[0]!.pixels;
  expect(here.length).toBe(inNode.length);
  const far = inNode.filter((value, i) => Math.abs(value - here[i]!) > 2).length;
  console.info(`values more than 2/255 apart in Node and in the browser: ${far} of ${inNode.length}`);
  expect(far / inNode.length).toBeLessThan(0.001);
  // Not two blank pictures.
  expect(new Set(inNode).size).toBeGreaterThan(100);
});
