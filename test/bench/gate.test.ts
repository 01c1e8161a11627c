// The gate before the timer, and the ceilings' kernels, on a device.
import { describe, expect, it } from "vitest";
import { nameOf, type OpCase, operandsOf } from "../../bench/lab/cases.ts";
import { type MatrixShape, matrixKernel } from "../../bench/lab/ceilings.ts";
import { complaint, expectation } from "../../bench/lab/check.ts";
import { sample } from "../../bench/lab/clock.ts";
import { prepare, releaseAll, upload } from "../../bench/lab/dispatch.ts";
import { requestGpu } from "../../src/gpu/gpu.ts";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { linear } from "../../src/ops/linear.ts";
import type { Launch } from "../../src/ops/op.ts";
import { testGpu } from "../gpu.ts";

/** y = x w + b, of a size that the reference can afford, or that it cannot. */
function linearCase(rows: number): OpCase {
  const g = new GraphBuilder();
  const tensor = (name: string, ...shape: number[]) => g.input(name, shape, "step");
  g.apply(linear, [tensor("x", rows, 512), tensor("w", 512, 512), tensor("b", 512), null], {});
  const node = g.finish().nodes[0]!;
  return { set: "shipped", name: nameOf(node), node, uses: 0 };
}

/** What a launch computes for a case. */
async function run(entry: OpCase, change: (launch: Launch) => Launch): Promise<Float64Array> {
  const gpu = await testGpu();
  const { inputs, output, attributes } = entry.node;
  const types = inputs.map((value) => value?.type ?? null);
  const variant = linear.variants.find(({ name }) => name === "linear.register")!;
  const buffers = upload(gpu, operandsOf(entry));
  const launch = variant.launch(types, output.type, attributes as object, gpu.traits);
  const prepared = await prepare(gpu, change(launch), buffers, types, output.type);
  const values = await prepared.read();
  prepared.dispose();
  releaseAll(gpu, buffers);
  return values;
}

/** A kernel whose last input channels were forgotten. */
const forgetful = (launch: Launch): Launch => ({
  ...launch,
  kernel: { ...launch.kernel, code: launch.kernel.code.replace("k < u.K4", "k < u.K4 - 1u") },
});

describe("the gate before the timer", () => {
  it.each([
    { rows: 64, by: "f64" },
    { rows: 640, by: "linear.simple" },
  ])("lets a right kernel pass and stops a wrong one, by $by at $rows rows", async ({ rows, by }) => {
    const entry = linearCase(rows);
    const expected = (await expectation(await testGpu(), entry, operandsOf(entry)))!;
    expect(expected.by).toBe(by);
    const { type } = entry.node.output;
    expect(complaint(await run(entry, (launch) => launch), expected, type)).toBeUndefined();
    expect(
      forgetful({ kernel: { name: "", code: "k < u.K4", bindings: [] }, workgroups: [1, 1, 1] }).kernel.code,
    ).not.toBe("k < u.K4");
    expect(complaint(await run(entry, forgetful), expected, type)).toMatch(/relative L2 error .* is allowed/);
  });
});

describe("the clock", () => {
  it("gives as many figures as it was asked for, the least of them not above the median", async () => {
    const gpu = await testGpu();
    const entry = linearCase(64);
    const { inputs, output, attributes } = entry.node;
    const types = inputs.map((value) => value?.type ?? null);
    const buffers = upload(gpu, operandsOf(entry));
    const launch = linear.variants.at(-1)!.launch(types, output.type, attributes as object, gpu.traits);
    const prepared = await prepare(gpu, launch, buffers, types, output.type);
    const clock = { kind: "wall", why: "", submitMs: 0 } as const;
    const ms = await sample(gpu, clock, prepared.encode, { repeats: 4, budget: 1e6 });
    expect(ms.count).toBe(4);
    expect(ms.least).toBeGreaterThan(0);
    expect(ms.least).toBeLessThanOrEqual(ms.median);
    prepared.dispose();
    releaseAll(gpu, buffers);
  });
});

describe("the kernel for subgroup matrices", () => {
  it("compiles for the shapes that devices offer, also where this machine has none", async () => {
    const { create } = await import("webgpu");
    const dawn = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
    const gpu = await requestGpu(() => dawn.requestAdapter());
    const shapes: MatrixShape[] = [
      { M: 16, N: 16, K: 16, componentType: "f16", resultComponentType: "f32" },
      { M: 8, N: 8, K: 8, componentType: "f32", resultComponentType: "f32" },
    ];
    for (const shape of shapes) await gpu.compile(matrixKernel(shape, gpu.info.subgroupMaxSize));
    gpu.dispose();
  });
});
