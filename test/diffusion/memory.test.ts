// What pipelines need of a device: told before anything is loaded, true when it is, and refused in a sentence where it is too much.
import { beforeAll, expect, it } from "vitest";
import { generateCascade } from "../../src/diffusion/pipeline/cascade.ts";
import { totalBytes } from "../../src/diffusion/pipeline/memory.ts";
import { openPipeline, type PipelineOptions } from "../../src/diffusion/pipeline/pipeline.ts";
import { testGpu } from "../gpu.ts";
import { type Files, memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";
import { expectError } from "./tiny-engine.ts";

let sd: Files;
let x4: Files;
beforeAll(async () => {
  sd = await tinyPipeline("StableDiffusionPipeline");
  x4 = await tinyPipeline("StableDiffusionUpscalePipeline");
});

const request = { prompt: "a red fox", steps: 1, seed: 5, size: { width: 48, height: 32 } };

const open = async (options: PipelineOptions = {}, files = sd, name = "sd") =>
  openPipeline(await testGpu(), memoryFolder(name, files), options);

/** Bytes on the device at most at steps of `work`, which parts were loaded, and what is left. */
async function watched(work: (watch: { onLoad(part: string): void; onStep(): void }) => Promise<unknown>) {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const loaded: string[] = [];
  let most = 0;
  const look = () => {
    most = Math.max(most, gpu.allocatedBytes - before);
  };
  await work({
    onLoad(part) {
      if (loaded.at(-1) !== part) loaded.push(part);
    },
    onStep: look,
  });
  return { loaded, most, left: gpu.allocatedBytes - before };
}

it.each([{}, { storage: "f16", weights: "q8" } as const])(
  "what is told of the U-Net is what it takes: %o",
  async (as) => {
    const pipeline = await open(as);
    const told = pipeline.plan(request);
    expect(told).toMatchObject({ pictures: 1, width: 48, height: 32 });
    expect(told.parts.map(({ name }) => name)).toEqual(["sd/text_encoder", "sd/unet", "sd/vae"]);
    const seen: string[] = [];
    const { most, left } = await watched((watch) =>
      pipeline.generate(request, {
        ...watch,
        onPlan: (name, parts) => seen.push(name, ...parts.map(({ name }) => name)),
      }),
    );
    expect(seen).toEqual(["sd", "sd/text_encoder", "sd/unet", "sd/vae"]);
    const needed = totalBytes(told.parts[1]!.needs);
    // Beside it are the steps' rows, snapshots, and uniforms.
    expect(most / needed).toBeGreaterThan(0.95);
    expect(most / needed).toBeLessThan(1.1);
    expect(left).toBe(0);
  },
);

it("neighbours are counted: more texts, the encoder of their pictures, and what the U-Net keeps of them", async () => {
  const pipeline = await open();
  const picture = { width: 1, height: 1, pixels: Uint8Array.of(255, 0, 0, 255) };
  const neighbors = [{ picture, caption: "a fox" }];
  const [plain, shown] = [pipeline.plan(request).parts, pipeline.plan({ ...request, neighbors }).parts];
  const names = ["sd/text_encoder", "sd/vae encoder", "sd/unet", "sd/vae"];
  expect(shown.map(({ name }) => name)).toEqual(names);
  const bytes = (parts: typeof plain, name: string) => totalBytes(parts.find((part) => part.name === name)!.needs);
  for (const name of ["sd/text_encoder", "sd/unet"]) expect(bytes(shown, name)).toBeGreaterThan(bytes(plain, name));
  const bounded = await open({ memory: bytes(plain, "sd/unet") });
  const { loaded } = await watched(async (watch) =>
    expectError(bounded.generate({ ...request, neighbors }, watch), "limit", /^sd\/unet needs /),
  );
  expect(loaded).toEqual([]);
});

it("a request over the budget loads nothing at all, and one within it draws", async () => {
  const [text, unet, decoder] = (await open()).plan(request).parts.map(({ needs }) => totalBytes(needs));
  expect(unet).toBeGreaterThan(Math.max(text!, decoder!));
  const small = await open({ memory: unet! - 1 });
  const { loaded } = await watched(async (watch) =>
    expectError(
      small.generate(request, watch),
      "limit",
      /^sd\/unet needs \d\d\.\d MB with weights in f32: the memory budget is \d\d\.\d MB; with --weights q8: [\d.]+ MB, which fits$/,
    ),
  );
  expect(loaded).toEqual([]);
  const tiny = await open({ memory: 1000 });
  await expectError(tiny.encode("a", ""), "limit", /^sd\/text_encoder needs .* MB, which does not fit either$/);
  const pipeline = await open({ memory: unet! });
  expect((await pipeline.generate(request)).pictures).toHaveLength(1);
});

it("parts that are kept must fit together, are loaded once, and draw the same", async () => {
  const whole = await open();
  const sizes = whole.plan(request).parts.map(({ needs }) => totalBytes(needs));
  const sum = sizes.reduce((total, size) => total + size, 0);
  await expectError(
    (await open({ keep: true, memory: sum - 1 })).generate(request),
    "limit",
    /^sd needs \d\d\.\d MB to keep all of its parts on the device, and the memory budget is .*; one after the other they need \d\d\.\d MB$/,
  );
  const { pictures } = await whole.generate(request);
  const kept = await open({ keep: true, memory: sum });
  const first = await watched(async (watch) => {
    const drawn = await kept.generate(request, watch);
    expect(drawn.pictures[0]!.pixels).toEqual(pictures[0]!.pixels);
  });
  expect(first.loaded).toEqual(["text_encoder", "unet", "vae"]);
  expect(first.left / sum).toBeGreaterThan(0.95);
  const again = await watched(async (watch) => {
    const drawn = await kept.generate({ ...request, prompt: "a fox" }, watch);
    expect(drawn.pictures[0]!.pixels).not.toEqual(pictures[0]!.pixels);
  });
  expect([again.loaded, again.left]).toEqual([[], 0]);
  const given = await watched(async () => kept.dispose());
  expect(given.left).toBeLessThan(-0.95 * sum);
});

it("a cascade is refused for its last stage before its first one is loaded", async () => {
  const first = await open();
  const last = await open({ memory: 3e6 }, x4, "x4");
  const { loaded } = await watched(async (watch) =>
    expectError(generateCascade([first, last], request, watch), "limit", /^x4\/unet needs .* the memory budget is 3/),
  );
  expect(loaded).toEqual([]);
});
