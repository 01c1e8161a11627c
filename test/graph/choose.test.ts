// Choosing a kernel: by what the adapter is and can do, with a reason for each that was passed over.
import { beforeAll, expect, it } from "vitest";
import { ReimagenError } from "../../src/errors.ts";
import type { DeviceTraits } from "../../src/gpu/traits.ts";
import { type Choice, choose } from "../../src/graph/choose.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { conv2d, linear } from "../../src/graph/layers.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { linear as linearOp } from "../../src/ops/linear.ts";
import { someLimits, someTraits } from "./graphs.ts";

const matrix = { M: 16, N: 16, K: 16, operands: "f16" } as const;

beforeAll(async () => {
  for (const software of [true, false]) await loadKernelsFor({ software });
});

/** The kernel for a 3x3 convolution of an 8x8 picture. */
function chosen(traits: Partial<DeviceTraits>, channels = 8, outputs = 8): Choice {
  const g = new GraphBuilder();
  const weight = g.weight("w", [outputs, channels, 3, 3], "conv");
  conv2d(g, g.input("x", [1, 8, 8, channels], "step"), { weight }, { padding: 1 });
  return choose(g.finish().nodes[0]!, someTraits(traits));
}

it("takes registers on a software adapter, subgroups where it has them, and workgroup tiles on hardware, deep ones for little work", () => {
  expect(chosen({ software: true }).variant).toBe("conv2d.register");
  expect(chosen({ software: true, subgroupSize: 4 }).variant).toBe("conv2d.subgroup");
  expect(chosen({ software: true, subgroupSize: 4 }, 8, 32).variant).toBe("conv2d.quad");
  expect(chosen({ software: true, subgroupSize: 8 }, 8, 32).variant).toBe("conv2d.subgroup");
  expect(chosen({ software: false }).variant).toBe("conv2d.tiled_deep");
});

it("says why, and why not the others", () => {
  const { reason, others } = chosen({ software: true });
  expect(reason).toBe("first for software");
  expect(others).toEqual([
    ...["matrix", "matrix_small", "matrix_deep"].map((name) => ({
      variant: `conv2d.${name}`,
      reason: "no subgroup matrices",
    })),
    ...["quad", "subgroup"].map((name) => ({
      variant: `conv2d.${name}`,
      reason: "no fixed subgroup size of 4 or 8",
    })),
    ...["tiled_wide", "tiled_deep", "tiled"].map((name) => ({ variant: `conv2d.${name}`, reason: "for hardware" })),
    { variant: "conv2d.simple", reason: "comes later" },
  ]);
});

it("takes the scalar kernel where channels do not come in fours", () => {
  for (const software of [true, false]) {
    const { variant, others } = chosen({ software }, 6);
    expect(variant).toBe("conv2d.simple");
    expect(others).toHaveLength(9);
    expect(others.at(-1)!.reason).toBe("channels 6, 0, 8 are not all multiples of 4");
  }
});

it("takes matrices for halves where the device has them, in smaller tiles where there is less to multiply", () => {
  const limits = { ...someLimits(), maxComputeInvocationsPerWorkgroup: 1024, maxComputeWorkgroupStorageSize: 49152 };
  const convolution = (traits: Partial<DeviceTraits>, side: number, storage: "f32" | "f16" = "f16") => {
    const g = new GraphBuilder(storage);
    const weight = g.weight("w", [512, 512, 3, 3], "conv");
    conv2d(g, g.input("x", [2, side, side, 512], "step", storage), { weight }, { padding: 1 });
    const hardware = { software: false, subgroupSize: 32, shaderF16: true, subgroupMatrix: true, matrix, limits };
    return choose(g.finish().nodes[0]!, someTraits({ ...hardware, ...traits }));
  };
  expect(convolution({}, 64).variant).toBe("conv2d.matrix");
  expect(convolution({}, 32)).toMatchObject({
    variant: "conv2d.matrix_small",
    others: expect.arrayContaining([{ variant: "conv2d.matrix", reason: "only 64 workgroups" }]),
  });
  expect(convolution({}, 8).variant).toBe("conv2d.matrix_deep");
  expect(convolution({}, 64, "f32").variant).toBe("conv2d.tiled_wide");
  expect(convolution({}, 32, "f32").variant).toBe("conv2d.tiled");
  expect(convolution({ subgroupSize: 0 }, 64).variant).toBe("conv2d.tiled_wide");
  const little = { ...limits, maxComputeWorkgroupStorageSize: 16384 };
  expect(convolution({ limits: little }, 64).variant).toBe("conv2d.matrix_small");
});

it("takes what fits any adapter when it comes first: a layer of a few rows", () => {
  const g = new GraphBuilder();
  linear(g, g.input("x", [2, 8], "step"), { weight: g.weight("w", [8, 8], "linear") });
  const choice = choose(g.finish().nodes[0]!, someTraits({ software: false }));
  expect([choice.variant, choice.reason]).toEqual(["linear.few_rows", "fits any adapter"]);
});

it("refuses a node that no kernel can run, naming it and the reason of each kernel", () => {
  const g = new GraphBuilder("f16");
  const x = g.input("x", [2, 5, 6], "step", "f16");
  g.output(
    "y",
    g.scope("mid/out", () => g.apply(linearOp, [x, g.weight("w", [8, 6], "linear"), null, null], {})),
  );
  const compile = () => compileGraph(g.finish(), someTraits());
  expect(compile).toThrow(ReimagenError);
  expect(compile).toThrow(/no kernel can run linear \[2, 5, 8\] f16 \(mid\/out\): .*K 6 and N 8.*linear\.simple: f16/);
});
