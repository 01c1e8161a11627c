// Devices that go away in the midst of work.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/diffusion/engine.ts";
import type { GenerationRequest } from "../../src/diffusion/request.ts";
import { adoptGpu } from "../../src/gpu/gpu.ts";
import { ownGpu } from "../gpu.ts";
import { tinyModel } from "../tiny-model.ts";
import { expectError, filesOf, neighbors } from "./tiny-engine.ts";

const request: GenerationRequest = {
  prompt: "a moose",
  neighbors: neighbors(2),
  settings: { steps: 5, seed: 3, sampler: "dpm-solver++" },
};

describe("a device of our own that is lost", () => {
  it.each([1, 3, 5])("after step %i is replaced, and the generation ends with the same picture", async (at) => {
    const gpu = await ownGpu();
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    const expected = await engine.generate(request);
    const allocated = gpu.allocatedBytes;
    const lost = gpu.device;
    const fresh: GPUDevice[] = [];
    gpu.restored((device) => fresh.push(device));
    const steps: number[] = [];
    const drawn = await engine.generate(request, {
      onStep: (step) => {
        steps.push(step);
        if (step === at && fresh.length === 0) gpu.device.destroy();
      },
    });
    expect(fresh).toEqual([gpu.device]);
    expect(gpu.device).not.toBe(lost);
    // A step is told once, also when it had to be run again.
    expect(steps).toEqual([1, 2, 3, 4, 5]);
    expect(drawn.pictures).toEqual(expected.pictures);
    expect((await engine.generate(request)).pictures).toEqual(expected.pictures);
    expect(gpu.allocatedBytes).toBe(allocated);
    engine.dispose();
    expect(gpu.allocatedBytes).toBe(0);
    gpu.dispose();
  });

  it("goes on from its last step rather than from the first", async () => {
    const gpu = await ownGpu();
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    const generation = await engine.start({ ...request, settings: { steps: 40 } });
    const submits: string[] = [];
    for await (const { step } of generation) {
      // A moment for the copies of earlier steps to arrive.
      await gpu.idle();
      await new Promise((resolve) => setTimeout(resolve, 5));
      if (step === 30) break;
    }
    gpu.restored((device) => {
      const createCommandEncoder = device.createCommandEncoder.bind(device);
      device.createCommandEncoder = (descriptor) => {
        submits.push(descriptor?.label ?? "");
        return createCommandEncoder(descriptor);
      };
    });
    gpu.device.destroy();
    await generation.finish();
    const steps = submits.filter((label) => label.startsWith("step ")).length;
    expect(steps).toBeGreaterThanOrEqual(10);
    expect(steps).toBeLessThan(16);
    gpu.dispose();
  });

  it("between two pictures is replaced before the next, for two engines and generations at once", async () => {
    const gpu = await ownGpu();
    const engines = [await createEngine(gpu, filesOf(tinyModel())), await createEngine(gpu, filesOf(tinyModel()))];
    const draw = () => Promise.all(engines.map((engine) => engine.generate(request)));
    const expected = await draw();
    gpu.device.destroy();
    await gpu.lost;
    expect(gpu.allocatedBytes).toBe(0);
    expect((await draw()).map(({ pictures }) => pictures)).toEqual(expected.map(({ pictures }) => pictures));
    const both = await Promise.all([engines[0]!.start(request), engines[0]!.start(request)]);
    gpu.device.destroy();
    const again = await Promise.all(both.map((generation) => generation.finish()));
    for (const { pictures } of again) expect(pictures).toEqual(expected[0]!.pictures);
    gpu.dispose();
  });

  it("is not asked for again when the engine's owner has let it go", async () => {
    const gpu = await ownGpu();
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    gpu.dispose();
    await gpu.lost;
    await expectError(engine.generate(request), "device-lost", /^the GPU device was lost: it was destroyed/);
  });
});

describe("an app's device that is lost", () => {
  it("is an error that says why, at once and ever after; the app makes a new device and goes on", async () => {
    const source = await ownGpu();
    const gpu = adoptGpu(source.device);
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    const doomed = engine.generate(request, {
      onStep: (step) => {
        if (step === 2) gpu.device.destroy();
      },
    });
    const sentence = /^the GPU device was lost: it was destroyed/;
    await expectError(doomed, "device-lost", sentence);
    await expectError(engine.generate(request), "device-lost", sentence);
    await expectError(createEngine(gpu, filesOf(tinyModel())), "device-lost", sentence);
    expect((await gpu.lost).code).toBe("device-lost");
    engine.dispose();
    expect(gpu.allocatedBytes).toBe(0);

    await source.renew();
    const next = await createEngine(adoptGpu(source.device), filesOf(tinyModel()));
    expect((await next.generate(request)).pictures).toHaveLength(1);
    source.dispose();
  });

  it("stops a frame loop with that error", async () => {
    const source = await ownGpu();
    const gpu = adoptGpu(source.device);
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    const generation = await engine.start(request);
    gpu.device.destroy();
    await gpu.lost;
    const frame = () => generation.encode(gpu.device.createCommandEncoder());
    expect(frame).toThrow(/^the GPU device was lost/);
    generation.dispose();
    source.dispose();
  });
});
