// What the engine says when something is wrong with a model, a device or a request, and that nothing of it stays behind.
import { beforeAll, describe, expect, it } from "vitest";
import { createEngine, type EngineOptions, type ModelFiles } from "../../src/diffusion/engine.ts";
import type { GenerationRequest } from "../../src/diffusion/request.ts";
import type { PartialSettings } from "../../src/diffusion/settings.ts";
import type { ErrorCode } from "../../src/errors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import { adoptedGpu, testGpu } from "../gpu.ts";
import { someLimits } from "../graph/graphs.ts";
import { type TinyModel, tinyModel } from "../tiny-model.ts";
import { changed, expectError, filesOf, neighbors, randomPicture } from "./tiny-engine.ts";

let gpu: Gpu;
beforeAll(async () => {
  gpu = await testGpu();
});

describe("a model that is broken", () => {
  /** Loads it, expects this error and that nothing of it stays on the device. */
  async function refused(files: ModelFiles, code: ErrorCode, sentence: RegExp, options: EngineOptions = {}) {
    const before = gpu.allocatedBytes;
    await expectError(createEngine(gpu, files, options), code, sentence);
    expect(gpu.allocatedBytes).toBe(before);
  }
  const tensorOf = (model: TinyModel, name: string) => model.tensors.find((tensor) => tensor.name === name)!;

  it("by a value that is not finite: the tensor is named, and where", async () => {
    for (const [value, shown] of [
      [Number.NaN, "NaN"],
      [Number.NEGATIVE_INFINITY, "-Infinity"],
    ] as const) {
      const model = changed(tinyModel(), "mid1.conv1.weight", (values) => values.fill(value, 7, 8));
      await refused(
        filesOf(model),
        "not-finite",
        new RegExp(`tensor mid1\\.conv1\\.weight has ${shown} at element 7$`),
      );
    }
  });

  it("by a tensor too few, too many, or of another shape", async () => {
    const missing = tinyModel();
    missing.tensors = missing.tensors.filter(({ name }) => name !== "out.bias");
    await refused(filesOf(missing), "tensor", /has no tensor out\.bias \[12\], which the config asks for$/);

    const extra = tinyModel();
    extra.tensors.push({ ...tensorOf(extra, "out.bias"), name: "out.scale" });
    await refused(filesOf(extra), "config", /has a tensor out\.scale that the config has no place for$/);

    const misshapen = tinyModel();
    const narrow = { ...tensorOf(misshapen, "out.bias"), shape: [8], bytes: new Uint8Array(32) };
    misshapen.tensors = misshapen.tensors.map((tensor) => (tensor.name === "out.bias" ? narrow : tensor));
    await refused(filesOf(misshapen), "tensor", /tensor out\.bias should be \[12\] by the config, got \[8\]$/);
  });

  it("by a config that is another model's", async () => {
    const model = tinyModel();
    const config = { ...model.config, channels: [32] };
    await refused(filesOf({ ...model, config }), "tensor", /should be .* by the config, got /);
    const small = { ...model.config, vocab: 70 };
    await refused(
      filesOf({ ...model, config: small }),
      "config",
      /tokenizer has 75 words, but the config's vocab is 70$/,
    );
  });

  it.each(["f32", "f16"] as const)("by weights that overflow in %s: told instead of drawn", async (storage) => {
    const model = changed(tinyModel(), "mid2.conv2.weight", (values) => values.fill(storage === "f16" ? 6e4 : 3e38));
    const huge = changed(model, "out.weight", (values) => values.fill(storage === "f16" ? 6e4 : 3e38));
    const other = await createEngine(gpu, filesOf(huge), { storage });
    for (const thresholding of [{ kind: "none" }, { kind: "static", range: 1 }] as const)
      await expectError(
        other.generate({ prompt: "a moose", settings: { steps: 1, thresholding } }),
        "not-finite",
        /^the picture has (NaN|-?Infinity) at value \d+ after step 1 of 1$/,
      );
    other.dispose();
  });
});

describe("a device that is too small", () => {
  it.each([
    ["maxStorageBuffersPerShaderStage", 4],
    ["maxStorageBufferBindingSize", 4096],
    ["maxBufferSize", 8192],
  ])("by %s %i is told so before the weights are read", async (limit, most) => {
    const limits = someLimits({ [limit]: most });
    const small = await adoptedGpu();
    Object.defineProperty(small, "traits", { value: { ...gpu.traits, limits } });
    const files = filesOf(tinyModel());
    const source = await files.weights();
    const reads: number[] = [];
    const read: typeof source.read = (offset, ...rest) => {
      reads.push(offset);
      return source.read(offset, ...rest);
    };
    const promise = createEngine(small, { ...files, weights: async () => ({ ...source, read }) });
    await expectError(promise, "limit", new RegExp(`needs ${limit} of at least \\d+, but the device has ${most}$`));
    // The header's length and the header.
    expect(reads).toEqual([0, 8]);
  });
});

describe("what cannot be drawn is refused before any work", () => {
  const cases: [string, Partial<GenerationRequest>, PartialSettings, ErrorCode, RegExp][] = [
    ["nothing", { prompt: " " }, {}, "prompt", /^there is nothing to draw: the prompt is empty/],
    ["no steps", {}, { steps: 0 }, "argument", /^steps must be a whole number of at least 1, got 0$/],
    ["nine neighbours", { neighbors: neighbors(9) }, {}, "argument", /^at most 8 neighbours are possible, got 9$/],
    [
      "a neighbour that lacks pixels",
      { neighbors: [...neighbors(1), { picture: { ...randomPicture(1, 16, 17), height: 18 }, caption: "" }] },
      {},
      "picture",
      /^neighbour 2 should have 1152 bytes for 16x18 pixels, got 1088$/,
    ],
    [
      "a neighbour of no size",
      { neighbors: [{ picture: { width: 0, height: 3, pixels: new Uint8Array() }, caption: "" }] },
      {},
      "picture",
      /^neighbour 1 is a picture without pixels \(0x3\)$/,
    ],
    ["half a picture", { pictures: 0.5 }, {}, "argument", /^pictures must be a whole number of at least 1, got 0.5$/],
    ["a negative seed", {}, { seed: -1 }, "argument", /seed .*got -1$/],
    ["eta above 1", {}, { guidance: { eta: 1.5 } }, "argument", /^eta must be in \[0, 1\], got 1.5$/],
  ];
  it.each(cases)("%s", async (_, request, settings, code, sentence) => {
    const engine = await createEngine(gpu, filesOf(tinyModel()));
    const before = gpu.allocatedBytes;
    await expectError(engine.generate({ prompt: "a moose", ...request, settings }), code, sentence);
    expect(gpu.allocatedBytes).toBe(before);
    engine.dispose();
  });
});
