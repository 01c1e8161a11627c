// The large kernels for GPUs: what they compute, those on subgroup matrices with emulated ones; and that these compile as they are.
import { beforeAll, expect, it } from "vitest";
import functions from "../../kernels/matrix.wgsl";
import { requestGpu } from "../../src/gpu/gpu.ts";
import { assemble } from "../../src/gpu/kernel.ts";
import type { DeviceTraits, MatrixShape } from "../../src/gpu/traits.ts";
import { attention } from "../../src/ops/attention.ts";
import { conv2d } from "../../src/ops/conv2d.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { linear } from "../../src/ops/linear.ts";
import type { Op } from "../../src/ops/op.ts";
import { inNode } from "../gpu.ts";
import { randomAttention } from "./attention.cases.ts";
import { randomConv2d } from "./conv2d.cases.ts";
import emulated from "./hardware.matrix.wgsl";
import { type Case, type Emulation, Random, testOp } from "./harness.ts";
import { randomLinear } from "./linear.cases.ts";

const emulation: Emulation = {
  traits: (of) => ({ ...of, subgroupSize: 8, matrix: { M: 4, N: 8, K: 16, operands: "f32" } }),
  launch({ kernel, ...rest }) {
    const { enable: _, ...portable } = kernel;
    expect(kernel.code).toContain(functions);
    return { kernel: { ...portable, code: kernel.code.replace(functions, emulated) }, ...rest };
  },
};

/** As GPUs have them: NVIDIA and AMD, Intel, Apple. */
const offered: MatrixShape[] = [
  { M: 16, N: 16, K: 16, operands: "f16" },
  { M: 8, N: 16, K: 16, operands: "f16" },
  { M: 8, N: 8, K: 8, operands: "f16" },
  { M: 8, N: 8, K: 8, operands: "f32" },
];

const only = /\.matrix/;
/** Those that this device can run too. */
const large = /\.(matrix|tiled|wide)/;

beforeAll(() => loadKernelsFor({ software: false }));

// Both kinds of kernel take their factors from the same file: what one meets of storages, the other need not.
testOp(linear, plain(randomLinear, 2, ["f32", "q8"]), { only: /\.tiled_/ });
testOp(conv2d, plain(randomConv2d, 3, ["f32"]), { only: /\.tiled_/ });
testOp(linear, plain(randomLinear, 2, ["f32", "f16"]), { only, emulation });
testOp(conv2d, plain(randomConv2d, 3, ["f32"]), { only, emulation });

testOp(attention, plain(randomAttention, 2), { only, emulation });

/**
 * Cases of one storage, or with weights in 8 bits: compiling takes nearly all of this test's time, and below every mixture is compiled.
 * `bias`: the operand that is always f32. Convolutions, which take longest, in f32 alone.
 */
function plain<A>(
  randomCase: (random: Random) => Case<A>,
  bias: number,
  storages: readonly string[] = ["f32", "f16", "q8", "u32"],
): (random: Random) => Case<A> {
  return (random) => {
    for (;;) {
      const found = randomCase(random);
      const kinds = found.inputs.flatMap((input, i) => (input && i !== bias ? [input.type.dtype as string] : []));
      const { dtype } = found.attributes as { dtype?: string };
      if (dtype) kinds.push(dtype);
      const mixed = kinds.includes("f32") && kinds.includes("f16");
      if (!mixed && kinds.every((kind) => storages.includes(kind))) return found;
    }
  };
}

// Dawn's null backend computes nothing, but has the compiler's front and every feature.
it.runIf(inNode)("pass the compiler as they are, in every storage, for the matrices that devices offer", async () => {
  const { create } = await import("webgpu");
  const dawn = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
  const gpu = await requestGpu(() => dawn.requestAdapter());
  const codes = new Set<string>();
  for (const matrix of offered) {
    const limits = {
      ...gpu.traits.limits,
      maxComputeInvocationsPerWorkgroup: 1024,
      maxComputeWorkgroupStorageSize: 49152,
    };
    const traits = { ...gpu.traits, subgroupSize: 32, matrix, limits };
    for (const code of [
      ...codesOf(linear, randomLinear, traits),
      ...codesOf(conv2d, randomConv2d, traits),
      ...codesOf(attention, randomAttention, traits),
    ])
      codes.add(code);
  }
  expect(codes.size).toBeGreaterThan(60);
  for (const code of codes) {
    const module = gpu.device.createShaderModule({ code });
    const { messages } = await module.getCompilationInfo();
    expect(messages.map(({ lineNum, message }) => `${lineNum}: ${message}`)).toEqual([]);
  }
  gpu.dispose();
});

/** Every large kernel of an op that a hundred random cases ask for. */
function codesOf<A>(op: Op<A>, randomCase: (random: Random) => Case<A>, traits: DeviceTraits): string[] {
  const random = new Random(1);
  return Array.from({ length: 100 }, () => randomCase(random)).flatMap(({ inputs, attributes }) => {
    const types = inputs.map((input) => input?.type ?? null);
    const output = op.infer(types, attributes);
    return op.variants
      .filter(({ name, unfit }) => large.test(name) && !unfit?.(traits, types, output, attributes))
      .map(({ launch }) => assemble(launch(types, output, attributes, traits).kernel));
  });
}
