// The engine as its users meet it: requests of every kind on a tiny model.
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createEngine, type Engine, type GenerateOptions } from "../../src/diffusion/engine.ts";
import type { GuidanceSettings } from "../../src/diffusion/guidance.ts";
import type { GenerationRequest } from "../../src/diffusion/request.ts";
import { defaultSettings, type PartialSettings } from "../../src/diffusion/settings.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { adoptedGpu, testGpu } from "../gpu.ts";
import { relativeError } from "../ops/harness.ts";
import { tinyModel } from "../tiny-model.ts";
import { changed, expectError, filesOf, neighbors, SIZE } from "./tiny-engine.ts";

let gpu: Gpu;
let engine: Engine;
beforeAll(async () => {
  gpu = await testGpu();
  engine = await createEngine(gpu, filesOf(tinyModel()));
});
afterAll(() => engine.dispose());

/** Pixels of the first picture. */
const draw = async (request: Partial<GenerationRequest> = {}, settings: PartialSettings = {}) =>
  (await generate(request, settings)).pictures[0]!.pixels;

const generate = (request: Partial<GenerationRequest> = {}, settings: PartialSettings = {}) =>
  engine.generate({ prompt: "a moose", ...request, settings: { steps: 3, seed: 5, ...settings } });

describe("a seed", () => {
  it("makes the same picture every time, whatever was drawn in between", async () => {
    const settings = { sampler: "ddpm" } as const;
    const first = await draw({ neighbors: neighbors(1) }, settings);
    expect(await draw({ neighbors: neighbors(1) }, settings)).toEqual(first);
    await draw({ prompt: "something else", neighbors: neighbors(1).reverse() }, { ...settings, seed: 9 });
    await draw({ pictures: 2 }, settings);
    expect(await draw({ neighbors: neighbors(1) }, settings)).toEqual(first);
    expect(await draw({ neighbors: neighbors(1) }, { ...settings, seed: 6 })).not.toEqual(first);
  });

  it("counts on through a batch: picture i is the single picture of seed + i", async () => {
    for (const sampler of ["ddim", "ddpm"] as const) {
      const { pictures } = await generate({ pictures: 3, neighbors: neighbors(1) }, { sampler });
      expect(pictures).toHaveLength(3);
      for (const [i, { pixels }] of pictures.entries()) {
        const alone = await draw({ neighbors: neighbors(1) }, { sampler, seed: 5 + i });
        // Layers of a few rows sum in another order: a value on the edge may round to the next of 256 levels.
        expect(Math.max(...pixels.map((level, at) => Math.abs(level - alone[at]!)))).toBeLessThanOrEqual(1);
      }
    }
  });

  it("is that of the request's turn, when several are asked for at once", async () => {
    const seeds = [1, 2, 3];
    const together = await Promise.all(seeds.map((seed) => draw({}, { seed })));
    for (const [i, seed] of seeds.entries()) expect(await draw({}, { seed })).toEqual(together[i]);
  });
});

it("draws nearly the same with weights of 8 bits", async () => {
  const model = tinyModel({ channels: [64], head_dim: 32 });
  const [exact, near] = await Promise.all(
    (["f32", "q8"] as const).map((weights) => createEngine(gpu, filesOf(model), { weights })),
  );
  const request = { prompt: "a moose", neighbors: neighbors(1), settings: { steps: 3, seed: 5 } };
  const [whole, byte] = [(await exact!.generate(request)).values, (await near!.generate(request)).values];
  exact!.dispose();
  near!.dispose();
  const error = relativeError(byte.values, whole.values);
  expect(error).toBeGreaterThan(1e-4);
  expect(error).toBeLessThan(0.1);
});

describe("a request", () => {
  it("tells what it was drawn with, and what the model could not read", async () => {
    const { settings, warnings, pictures } = await generate({ prompt: "a très long prompt ".repeat(3) });
    expect(settings).toEqual({ ...defaultSettings, steps: 3, seed: 5 });
    expect(warnings).toEqual([
      expect.stringMatching(/^the prompt is longer than the model's 23 tokens; left out: ".*prompt"$/),
      "the prompt has words that the model does not know: très",
    ]);
    expect(pictures).toEqual([{ width: SIZE, height: SIZE, pixels: expect.any(Uint8ClampedArray) }]);
    expect(pictures[0]!.pixels.filter((_, i) => i % 4 === 3).every((alpha) => alpha === 255)).toBe(true);
  });

  it("with neighbours alone, or with text alone, is one", async () => {
    const pictures = [
      await draw({ prompt: "", neighbors: neighbors(2) }),
      await draw({ prompt: "a moose", neighbors: [] }),
      await draw({ prompt: "a moose", neighbors: neighbors(2) }),
    ];
    expect(new Set(pictures.map(String)).size).toBe(3);
  });

  it("shows its estimate and its progress at every step", async () => {
    const seen: number[][] = [];
    const estimates = new Set<string>();
    await engine.generate(
      { prompt: "a moose", settings: { steps: 4 } },
      {
        onStep: async (done, total, generation) => {
          seen.push([done, total]);
          estimates.add(String((await generation.read("estimate"))[0]!.pixels));
        },
      },
    );
    expect(seen).toEqual([1, 2, 3, 4].map((done) => [done, 4]));
    expect(estimates.size).toBe(4);
  });
});

describe("guidance", () => {
  /** The pictures' values after one step without thresholding: linear in what the model predicts. */
  const values = async (guidance: Partial<GuidanceSettings>, request: Partial<GenerationRequest> = {}, steps = 1) => {
    let found = new Float32Array();
    const settings: PartialSettings = { steps, seed: 5, thresholding: { kind: "none" }, guidance };
    await engine.generate(
      { prompt: "a moose", neighbors: neighbors(2), ...request, settings },
      {
        onStep: async (done, total, generation) => {
          if (done === total) found = (await generation.values()).slice() as typeof found;
        },
      },
    );
    return found;
  };
  const distance = (a: Float32Array, b: Float32Array) => Math.max(...a.map((v, i) => Math.abs(v - b[i]!)));
  // Letters and digits alone are tokens: this says nothing, as the empty text does.
  const nothing = { prompt: "!" };

  it("of each mode makes another picture", async () => {
    const modes: Partial<GuidanceSettings>[] = [
      { mode: "interleaved", choice: "periodic" },
      { mode: "interleaved", choice: "random" },
      ...(["entangled", "text-only", "neighbor-only", "none"] as const).map((mode) => ({ mode })),
    ];
    const pictures = [];
    for (const guidance of modes) pictures.push(await values(guidance, {}, 4));
    for (const [i, a] of pictures.entries())
      for (const b of pictures.slice(i + 1)) expect(distance(a, b)).toBeGreaterThan(1e-3);
  });

  it("of weight 0 leaves what it guides away from: no text, no neighbours, or neither", async () => {
    const none = { mode: "none" } as const;
    const cases: [Partial<GuidanceSettings>, Partial<GenerationRequest>][] = [
      [{ mode: "text-only", gammaP: 0 }, nothing],
      [{ mode: "neighbor-only", gammaN: 0 }, { neighbors: [] }],
      [
        { mode: "entangled", gammaP: 0 },
        { ...nothing, neighbors: [] },
      ],
    ];
    for (const [guidance, without] of cases)
      expect(distance(await values(guidance), await values(none, without)), guidance.mode).toBeLessThan(1e-5);
  });

  it("of weight 1 is none, and further on is as far as its weight says", async () => {
    for (const mode of ["text-only", "neighbor-only", "entangled"] as const) {
      const [base, plain, strong] = [
        await values({ mode, gammaP: 0, gammaN: 0 }),
        await values({ mode: "none" }),
        await values({ mode, gammaP: 3, gammaN: 3 }),
      ];
      expect(distance(await values({ mode, gammaP: 1, gammaN: 1 }), plain)).toBe(0);
      expect(distance(base, plain)).toBeGreaterThan(1e-3);
      const expected = base.map((v, i) => v + 3 * (plain[i]! - v));
      expect(distance(strong, expected), mode).toBeLessThan(1e-4);
    }
  });

  it("of one kind at every step is what eta 1 and eta 0 choose", async () => {
    for (const choice of ["periodic", "random"] as const) {
      const text = await values({ mode: "interleaved", choice, eta: 1 }, {}, 3);
      expect(text).toEqual(await values({ mode: "text-only" }, {}, 3));
      const neighbor = await values({ mode: "interleaved", choice, eta: 0 }, {}, 3);
      expect(neighbor).toEqual(await values({ mode: "neighbor-only" }, {}, 3));
    }
  });

  it("without neighbours is by the text alone; by neighbours alone it is refused", async () => {
    const [interleaved, text] = [{ mode: "interleaved" }, { mode: "text-only" }] as const;
    const request = { neighbors: [] };
    expect(await values(interleaved, request, 2)).toEqual(await values(text, request, 2));
    await expectError(values({ mode: "neighbor-only" }, request), "argument", /needs at least one neighbour, got none/);
  });
});

describe("an aborted generation", () => {
  it("stops at the next step, and the engine draws on", async () => {
    const expected = await draw();
    const controller = new AbortController();
    const steps: number[] = [];
    const aborted = engine.generate(
      { prompt: "a moose", settings: { steps: 9 } },
      {
        signal: controller.signal,
        onStep: (done) => {
          steps.push(done);
          if (done === 2) controller.abort();
        },
      },
    );
    await expectError(aborted, "aborted", /^the generation was aborted after step 2 of 9$/);
    expect(steps).toEqual([1, 2]);
    expect(await draw()).toEqual(expected);
  });

  it("does not begin when its signal fired before", async () => {
    const signal = AbortSignal.abort();
    await expectError(engine.generate({ prompt: "a moose" }, { signal }), "aborted", /aborted/);
    const files = filesOf(tinyModel());
    const before = gpu.allocatedBytes;
    await expectError(createEngine(gpu, files, { signal }), "aborted", /./);
    expect(gpu.allocatedBytes).toBe(before);
  });
});

describe("memory", () => {
  it("is all given back by dispose, and nothing can be drawn afterwards", async () => {
    const before = gpu.allocatedBytes;
    const other = await createEngine(gpu, filesOf(tinyModel()));
    await other.generate({ prompt: "a moose", neighbors: neighbors(1), settings: { steps: 2 } });
    expect(gpu.allocatedBytes).toBeGreaterThan(before);
    other.dispose();
    expect(gpu.allocatedBytes).toBe(before);
    await expectError(other.generate({ prompt: "a moose" }), "argument", /^this engine has been disposed of$/);
  });

  it("does not grow over 30 requests of varied kinds beyond the few executors that are kept", async () => {
    const other = await createEngine(gpu, filesOf(tinyModel()));
    const weights = gpu.allocatedBytes;
    const round = async () => {
      for (const k of [0, 1, 2])
        for (const pictures of [1, 2])
          await other.generate({ prompt: "a", neighbors: neighbors(k), pictures, settings: { steps: 1 } });
      return gpu.allocatedBytes;
    };
    const once = await round();
    for (let i = 0; i < 4; i++) expect(await round()).toBe(once);
    other.dispose();
    expect(weights).toBeLessThan(once);
  });
});

describe("a device that belongs to an app", () => {
  it("is neither destroyed nor troubled with our errors, not even when we are disposed of at work", async () => {
    const adopted = await adoptedGpu();
    const { device } = adopted;
    const uncaptured: string[] = [];
    const listen = (event: Event) => uncaptured.push((event as GPUUncapturedErrorEvent).error.message);
    device.addEventListener("uncapturederror", listen);
    const request = { prompt: "a moose", settings: { steps: 9 } };
    const moments: [number, (dispose: () => void) => GenerateOptions][] = [
      [0, (dispose) => ({ onCompile: dispose })],
      [2, (dispose) => ({ onStep: (done) => void (done === 2 && dispose()) })],
    ];
    for (const [step, when] of moments) {
      const other = await createEngine(adopted, filesOf(tinyModel()));
      await other.generate({ ...request, neighbors: neighbors(1) });
      const stopped = other.generate(
        request,
        when(() => other.dispose()),
      );
      const sentence = `^the generation ended, as its engine was disposed of, after step ${step} of 9$`;
      await expectError(stopped, "aborted", new RegExp(sentence));
      expect(adopted.allocatedBytes).toBe(0);
    }
    await expectError(
      createEngine(adopted, filesOf(changed(tinyModel(), "stem.bias", (values) => values.fill(Number.NaN)))),
      "not-finite",
      /stem\.bias/,
    );
    adopted.dispose();
    await device.queue.onSubmittedWorkDone();
    expect(uncaptured).toEqual([]);

    // The device still works, and the listener does hear of errors that are not ours.
    device.createBuffer({ size: 16, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.STORAGE });
    await device.queue.onSubmittedWorkDone();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(uncaptured).toHaveLength(1);
    device.removeEventListener("uncapturederror", listen);
  });
});

describe("the dispatches of a step", () => {
  it("are the same kernels in the same places for any number of neighbours", () => {
    const steps = [0, 1, 2, 8].map((k) => {
      const settings = { guidance: { mode: "text-only" } } as const;
      const { schedule } = engine.plan({ prompt: "a moose", neighbors: neighbors(k), settings });
      return schedule.step.map(({ node, choice }) => ({
        ...{ label: node.label, variant: choice.variant, kernel: choice.launch.kernel },
        ...{ workgroups: choice.launch.workgroups, output: node.output.type },
      }));
    });
    for (const step of steps.slice(1)) expect(step).toEqual(steps[0]);
  });
});
