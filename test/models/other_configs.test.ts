// Other sizes, patch factors, numbers of levels and placements of attention than the shipped model's, against PyTorch in float64.
import { describe, expect, it } from "vitest";
import { createEngine } from "../../src/diffusion/engine.ts";
import { openSafetensors, type Safetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { type ModelConfig, readConfig } from "../../src/models/config.ts";
import { fixture } from "../fixture.ts";
import { testGpu } from "../gpu.ts";
import { relativeError } from "../ops/harness.ts";
import { tinyModel } from "../tiny-model.ts";
import { channelsLast, runModel } from "./run_model.ts";

const superResolution = ["super_resolution", "super_resolution_alone"] as const;
const names = ["three_levels", "one_level", "odd_channels", ...superResolution] as const;

/** The fixture's config, its weights as a checkpoint of their own, and the recording beside them. */
async function open(name: string): Promise<{ config: ModelConfig; checkpoint: Safetensors; recorded: Safetensors }> {
  const recorded = await openSafetensors(await fixture(`test/fixtures/configs/${name}.safetensors`));
  const config = readConfig(`${name}/config.json`, recorded.metadata.config!);
  const weights = [...recorded.tensors].filter(([tensor]) => !/^(in|v)\./.test(tensor));
  return { config, checkpoint: { ...recorded, tensors: new Map(weights) }, recorded };
}

describe.each([
  { storage: "f32", most: 1e-5 },
  { storage: "f16", most: 1e-2 },
] as const)("in $storage storage", ({ storage, most }) => {
  it.each(names)("%s agrees with PyTorch, the neighbours shown and not shown side by side", async (name) => {
    const model = await open(name);
    const count = model.recorded.tensors.get("in.neighbors")!.shape[1]!;
    const executor = await runModel({ ...model, storage, neighbors: count, shown: [count, 0] });
    const v = await executor.read("v");
    executor.dispose();
    const half = v.length / 2;
    expect(relativeError(v.subarray(0, half), await channelsLast(model.recorded, "v.neighbors"))).toBeLessThan(most);
    expect(relativeError(v.subarray(half), await channelsLast(model.recorded, "v.text_alone"))).toBeLessThan(most);
  });

  it.each(names)("%s agrees with PyTorch without neighbours", async (name) => {
    const model = await open(name);
    const executor = await runModel({ ...model, storage, neighbors: 0, shown: [0] });
    const error = relativeError(await executor.read("v"), await channelsLast(model.recorded, "v.text_alone"));
    executor.dispose();
    expect(error).toBeLessThan(most);
  });

  it.each(superResolution)("%s agrees with PyTorch on a picture of another size than its own", async (name) => {
    const model = await open(name);
    const count = model.recorded.tensors.get("in.neighbors")!.shape[1]!;
    const executor = await runModel({ ...model, storage, neighbors: count, shown: [count], picture: "wide" });
    const error = relativeError(await executor.read("v"), await channelsLast(model.recorded, "v.wide"));
    executor.dispose();
    console.info(`${name}, ${storage}, another size: relative L2 error ${error.toExponential(1)}`);
    expect(error).toBeLessThan(most);
  });
});

it.each(names)("%s is a checkpoint that the engine loads whole: each tensor has its place", async (name) => {
  const { checkpoint, recorded } = await open(name);
  const tensors = [...checkpoint.tensors.values()].map(async (info) => ({
    ...info,
    bytes: await recorded.read(info.name),
  }));
  const source = bytesSource(name, writeSafetensors(await Promise.all(tensors)));
  const engine = await createEngine(await testGpu(), {
    name,
    config: recorded.metadata.config!,
    tokenizer: JSON.stringify(tinyModel().tokenizer),
    weights: async () => source,
  });
  const side = engine.config.size / engine.config.low_factor;
  const low = { width: side, height: side, values: new Float32Array(side * side * 3) };
  const request = { prompt: "a moose", settings: { steps: 2 }, ...(engine.config.cond_channels && { low }) };
  expect((await engine.generate(request)).pictures[0]!.width).toBe(engine.config.size);
  engine.dispose();
});
