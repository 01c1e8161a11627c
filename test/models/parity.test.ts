// The shipped model against its PyTorch definition, in float64 on the same f16 weights.
import { beforeAll, describe, expect, it } from "vitest";
import { openSafetensors, type Safetensors } from "../../src/io/safetensors.ts";
import { type ModelConfig, readConfig } from "../../src/models/config.ts";
import { fixture, fixtureText } from "../fixture.ts";
import { relativeError } from "../ops/harness.ts";
import { channelsLast, runModel } from "./run_model.ts";

let config: ModelConfig;
let golden: Safetensors;
let checkpoint: Safetensors;

beforeAll(async () => {
  config = readConfig("config.json", await fixtureText("weights/emoji-64/config.json"));
  golden = await openSafetensors(await fixture("test/fixtures/emoji-64.golden.safetensors"));
  checkpoint = await openSafetensors(await fixture("weights/emoji-64/model.safetensors"));
});

describe.each([
  { storage: "f32", tensors: 2e-4, v: 5e-4 },
  { storage: "f16", tensors: 1e-2, v: 1e-2 },
] as const)("the shipped model in $storage storage", ({ storage, tensors, v }) => {
  it.each([
    { k: 2, name: "v.two_neighbors" },
    { k: 1, name: "v.one_neighbor" },
    { k: 0, name: "v.no_neighbor" },
  ])("agrees with PyTorch on every recorded tensor with $k neighbours", async ({ k, name }) => {
    const example = { config, checkpoint, recorded: golden, storage, neighbors: k, shown: [k] as const };
    const executor = await runModel(example, () => true);
    const errors: Record<string, number> = {};
    for (const output of executor.plan.graph.outputs.keys()) {
      if (output.startsWith("neighbors") && k < 2) continue;
      const expected = await channelsLast(golden, output === "v" ? name : output);
      errors[output] = relativeError((await executor.read(output)).subarray(0, expected.length), expected);
    }
    executor.dispose();
    for (const [output, error] of Object.entries(errors))
      expect(error, output).toBeLessThan(output === "v" ? v : tensors);
    console.info(
      `${storage}, k = ${k}: relative L2 error`,
      Object.fromEntries(Object.entries(errors).map(([n, e]) => [n, e.toExponential(1)])),
    );
  });
});
