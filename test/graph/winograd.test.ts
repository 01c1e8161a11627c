// Winograd convolutions give what convolutions give, and their weights are computed once.
import { beforeAll, describe, expect, it } from "vitest";
import { compileGraph } from "../../src/graph/compile.ts";
import { createExecutor } from "../../src/graph/executor.ts";
import { GraphBuilder, type Value, weightsOf } from "../../src/graph/graph.ts";
import { conv2d as convolve } from "../../src/graph/layers.ts";
import { winograd } from "../../src/graph/winograd.ts";
import { type Conv2dAttributes, conv2d } from "../../src/ops/conv2d.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { inNode, testGpu } from "../gpu.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { opsOf, someTraits } from "./graphs.ts";

const software = someTraits({ software: true, subgroupSize: 4 });
const ops = ["winograd_weights", "winograd_input", "winograd_product", "winograd_output"];

beforeAll(() => loadKernelsFor({ software: true }));

/** A convolution of the step by weights of the checkpoint. */
function convolution(
  [batch, height, width, channels]: readonly [number, number, number, number],
  outputs: number,
  attributes: Conv2dAttributes & { kernel?: number } = {},
) {
  const { kernel = 3, ...rest } = attributes;
  const g = new GraphBuilder();
  const x = g.input("x", [batch, height, width, channels], "step");
  const weight = g.weight("w", [outputs, channels, kernel, kernel], "conv");
  const bias = g.input("b", [batch, outputs], "step");
  const made = (residual: Value | null) => g.apply(conv2d, [x, null, weight, bias, residual], { padding: 1, ...rest });
  const { shape } = conv2d.infer([x.type, null, weight.type, bias.type, null], { padding: 1, ...rest });
  g.output("y", made(g.input("r", shape, "step")));
  return g.finish();
}

describe("a convolution by 3 x 3 weights", () => {
  it("becomes four nodes on software adapters, of which one runs when the model is loaded", () => {
    const plan = compileGraph(convolution([2, 16, 16, 128], 128), software);
    expect(opsOf(plan.graph)).toEqual(ops);
    expect(plan.schedule.load.map(({ node }) => node.op.name)).toEqual(["winograd_weights"]);
  });

  it("stays as it is on GPUs, at a stride, by other weights, on few channels or pixels, and with packed halves", () => {
    const of = (graph = convolution([2, 16, 16, 128], 128), traits = software) => opsOf(winograd(graph, traits));
    expect(of()).toEqual(ops);
    expect(of(undefined, someTraits({ software: false, subgroupSize: 4 }))).toEqual(["conv2d"]);
    expect(of(convolution([2, 16, 16, 128], 128, { stride: 2 }))).toEqual(["conv2d"]);
    expect(of(convolution([2, 16, 16, 128], 128, { kernel: 1 }))).toEqual(["conv2d"]);
    expect(of(convolution([2, 16, 16, 8], 8))).toEqual(["conv2d"]);
    expect(of(convolution([8, 4, 4, 128], 128))).toEqual(["conv2d"]);
    const halves = new GraphBuilder("f16");
    const x = halves.input("x", [2, 16, 16, 128], "step", "f16");
    halves.output("y", convolve(halves, x, { weight: halves.weight("w", [128, 128, 3, 3], "conv") }, { padding: 1 }));
    expect(of(halves.finish())).toEqual(["conv2d"]);
  });

  it("has its weights transformed once however often they are read, and the most worthwhile within the limit", () => {
    const g = new GraphBuilder();
    const weight = g.weight("w", [128, 128, 3, 3], "conv");
    for (const name of ["a", "b"])
      g.output(name, convolve(g, g.input(`x.${name}`, [1, 16, 16, 128], "step"), { weight }, { padding: 1 }));
    // Four times 2048 x 2048 x 9 values are 604 MB.
    const large = g.weight("large", [2048, 2048, 3, 3], "conv");
    g.output("c", convolve(g, g.input("x.c", [1, 16, 16, 2048], "step"), { weight: large }, { padding: 1 }));
    const names = opsOf(winograd(g.finish(), software));
    expect(names.filter((name) => name === "winograd_weights")).toHaveLength(1);
    expect(names.filter((name) => name === "winograd_output")).toHaveLength(2);
    expect(names.filter((name) => name === "conv2d")).toHaveLength(1);
  });

  // The whole chain; each of its ops has its own test.
  it("gives what its definition gives", async ({ skip }) => {
    const gpu = await testGpu();
    if (!gpu.traits.software || gpu.traits.subgroupSize !== 4)
      skip("the adapter is no software adapter with subgroups of four");
    const random = new Random(7);
    const normals = (length: number) => Float32Array.from({ length }, () => random.normal());
    for (let i = 0; i < (inNode ? 12 : 3); i++) {
      const [batch, height, width] = [random.int(1, 3), random.int(7, 18), random.int(7, 18)];
      const [channels, outputs] = [4 * random.int(32, 40), 4 * random.int(30, 40)];
      const graph = convolution([batch, height, width, channels], outputs, {
        padding: random.int(0, 1),
        upsample: random.pick([1, 2] as const),
        activation: random.pick(["none", "silu"] as const),
        scale: random.pick([1, 0.5]),
      });
      const node = graph.nodes[0]!;
      const [x, , w, b, r] = node.inputs.map((value) => value && normals(value.type.shape.reduce((a, n) => a * n, 1)));
      const buffer = gpu.allocate("w", w!.byteLength, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
      gpu.device.queue.writeBuffer(buffer, 0, w!);
      const weights = new Map([["w conv f32", buffer]]);
      const plan = compileGraph(graph, gpu.traits);
      expect(opsOf(plan.graph)).toEqual(ops);
      const executor = await createExecutor(gpu, plan, weights);
      for (const [name, data] of Object.entries({ x, b, r })) executor.write(name, data!);
      executor.run("step");
      const got = await executor.read("y");
      executor.dispose();
      for (const each of weights.values()) gpu.release(each);
      const operands = node.inputs.map(
        (value, at) => value && { shape: value.type.shape, data: Float64Array.from([x, null, w, b, r][at]!) },
      );
      const expected = node.op.reference(operands, node.output.type, node.attributes);
      expect(relativeError(got, expected), JSON.stringify(node.attributes)).toBeLessThan(5e-6);
    }
  });

  it("leaves its weights to the executors after it", async ({ skip }) => {
    const gpu = await testGpu();
    if (!gpu.traits.software || gpu.traits.subgroupSize !== 4)
      skip("the adapter is no software adapter with subgroups of four");
    const graph = convolution([1, 16, 16, 128], 128);
    const [weight] = weightsOf(graph);
    const bytes = weight!.type.shape.reduce((product, extent) => product * extent, 4);
    const buffer = gpu.allocate("w", bytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(buffer, 0, new Float32Array(bytes / 4).fill(0.01));
    const weights = new Map([["w conv f32", buffer]]);
    const run = async () => {
      const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), weights);
      executor.write("x", new Float32Array(16 * 16 * 128).fill(1));
      executor.run("step");
      const y = await executor.read("y");
      executor.dispose();
      return y;
    };
    const first = await run();
    expect(weights.size).toBe(2);
    const before = gpu.allocatedBytes;
    expect(await run()).toEqual(first);
    expect(first[128 * 100]).toBeCloseTo(0.01 * 9 * 128, 4);
    expect([weights.size, gpu.allocatedBytes]).toEqual([2, before]);
    for (const each of weights.values()) gpu.release(each);
  });
});
