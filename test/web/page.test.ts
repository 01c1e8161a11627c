// The public API as a page uses it: its own device, a model behind a URL, a picture.
import { expect, it } from "vitest";
import { adoptGpu, createEngine, fetchModel, usefulFeatures } from "../../src/index.ts";

it("a page hands over its device, loads the shipped model from its server, and draws", async () => {
  const adapter = (await navigator.gpu.requestAdapter())!;
  const requiredFeatures = usefulFeatures.filter((name) => adapter.features.has(name));
  const device = await adapter.requestDevice({ requiredFeatures });
  const gpu = adoptGpu(device);
  const loaded: [number, number][] = [];
  const model = await fetchModel(new URL("/weights/emoji-64", location.href));
  const engine = await createEngine(gpu, model, { onProgress: (done, total) => loaded.push([done, total]) });
  expect(loaded.at(-1)![0]).toBe(loaded.at(-1)![1]);

  const request = { prompt: "a red apple", settings: { steps: 2, seed: 7 } };
  const { pictures, settings, warnings } = await engine.generate(request);
  expect(warnings).toEqual([]);
  expect(settings).toMatchObject({ steps: 2, seed: 7 });
  const [{ width, height, pixels }] = pictures as [(typeof pictures)[number]];
  expect([width, height, pixels.length]).toEqual([64, 64, 64 * 64 * 4]);
  expect(pixels.every((value, i) => i % 4 !== 3 || value === 255)).toBe(true);
  expect(new Set(pixels).size).toBeGreaterThan(50);
  expect((await engine.generate(request)).pictures[0]!.pixels).toEqual(pixels);

  engine.dispose();
  gpu.dispose();
  expect(gpu.allocatedBytes).toBe(0);
  // The page's device outlives us.
  device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE });
  device.destroy();
  expect(await device.lost).toMatchObject({ reason: "destroyed" });
});

it("a model that is not there is named", async () => {
  const folder = new URL("/weights/none", location.href);
  await expect(fetchModel(folder)).rejects.toMatchObject({
    code: "checkpoint",
    message: expect.stringContaining("/weights/none/"),
  });
});
