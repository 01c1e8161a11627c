// A device that is too small is told so before anything is loaded: which limit, what for, how much is needed and there.
import { beforeAll, expect, it } from "vitest";
import { ReimagenError } from "../../src/errors.ts";
import { compileGraph, type Plan } from "../../src/graph/compile.ts";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { add, conv2d, linear } from "../../src/graph/layers.ts";
import { checkLimits } from "../../src/graph/limits.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { someLimits, someTraits } from "./graphs.ts";

beforeAll(() => loadKernelsFor({ software: true }));

function somePlan(): Plan {
  const g = new GraphBuilder();
  const x = g.input("x", [1, 8, 8, 8], "step");
  const h = g.scope("stem", () =>
    conv2d(g, x, { weight: g.weight("stem.weight", [16, 8, 3, 3], "conv") }, { padding: 1 }),
  );
  const names = ["q.weight", "k.weight"];
  const qk = g.scope("attention", () => linear(g, h, { weight: g.weight(names, [256, 16], "linear") }));
  g.output(
    "y",
    g.scope("sum", () => add(g, qk, qk)),
  );
  return compileGraph(g.finish(), someTraits());
}

const complaint = (changed: Parameters<typeof someLimits>[0]) => {
  try {
    checkLimits(someLimits(changed), somePlan());
  } catch (error) {
    if (error instanceof ReimagenError) return [error.code, error.message];
  }
  return [];
};

it("has nothing to say of WebGPU's default limits, nor of limits that are met exactly", () => {
  expect(complaint({})).toEqual([]);
  expect(complaint({ maxStorageBufferBindingSize: 64 * 512 * 4, maxStorageBuffersPerShaderStage: 6 })).toEqual([]);
});

it.each([
  [
    { maxStorageBufferBindingSize: 64 * 512 * 4 - 1 },
    "a tensor [1, 8, 8, 512] of attention needs maxStorageBufferBindingSize of at least 131072, but the device has 131071",
  ],
  [
    { maxStorageBufferBindingSize: 4500 },
    "weight stem.weight [3, 3, 8, 16] needs maxStorageBufferBindingSize of at least 4608, but the device has 4500",
  ],
  [
    { maxStorageBufferBindingSize: 2000 },
    "a tensor [1, 8, 8, 8] of x needs maxStorageBufferBindingSize of at least 2048, but the device has 2000",
  ],
  [
    { maxBufferSize: 131072 - 1 },
    "a tensor [1, 8, 8, 512] of attention needs maxBufferSize of at least 131072, but the device has 131071",
  ],
  [
    { maxStorageBuffersPerShaderStage: 5 },
    "kernel conv2d.register needs maxStorageBuffersPerShaderStage of at least 6, but the device has 5",
  ],
])("with %o", (changed, sentence) => {
  expect(complaint(changed)).toEqual(["limit", sentence]);
});

it("also minds the arenas, which hold several tensors in one buffer", () => {
  const plan = somePlan();
  const memory = { ...plan.memory, arenas: [2 ** 28 + 1] };
  expect(() => checkLimits(someLimits(), { ...plan, memory })).toThrow(
    /^the intermediate memory of the model needs maxBufferSize of at least 268435457, but the device has 268435456$/,
  );
});
