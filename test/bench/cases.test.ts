// What `ops` runs: every op of the project, at the shapes of the shipped model's plan and of large U-Nets, with operands that mean something.
import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { loops, modelCases, operandsOf } from "../../bench/lab/cases.ts";
import { unetCases } from "../../bench/lab/unets.ts";
import { denoisingLoop } from "../../src/diffusion/loop.ts";
import { reimagenModel } from "../../src/diffusion/reimagen.ts";
import { compileGraph } from "../../src/graph/compile.ts";
import { bytesOfType } from "../../src/graph/plan.ts";
import { readConfig } from "../../src/models/config.ts";
import { shippedModel } from "../../src/node/shipped.ts";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import type { Op } from "../../src/ops/op.ts";
import { someTraits } from "../graph/graphs.ts";

const config = readConfig("config.json", readFileSync(`${shippedModel}/config.json`, "utf8"));
// Ops of processors are there only with their kernels.
await loadKernelsFor({ software: true });
const cases = modelCases(config, "f32", true);

describe("the cases of ops", () => {
  it("meet every op that the project has", async () => {
    const files = readdirSync(new URL("../../src/ops", import.meta.url));
    const modules = await Promise.all(files.map((file) => import(/* @vite-ignore */ `../../src/ops/${file}`)));
    const ops = modules.flatMap((module) => Object.values(module)).filter(isOp);
    expect(ops.length).toBeGreaterThan(20);
    const all = [...cases, ...modelCases(config, "f16", false), ...unetCases("f32")];
    const met = new Set(all.map(({ node }) => node.op.name));
    expect(ops.map(({ name }) => name).filter((name) => !met.has(name))).toEqual([]);
  });

  it("count each of the step's dispatches once", () => {
    const plan = compileGraph(
      denoisingLoop(reimagenModel(config, loops[0]!), { ...loops[0]!, storage: "f32" }),
      someTraits(),
    );
    expect(cases.reduce((sum, { uses }) => sum + uses, 0)).toBe(plan.schedule.step.length);
  });

  it("have names that tell them apart", () => {
    const names = [...cases, ...unetCases("f32"), ...unetCases("f16")].map(({ set, name }) => `${set} ${name}`);
    expect(new Set(names).size).toBe(names.length);
  });

  it("give every operand as many bytes as its type takes", () => {
    for (const entry of cases)
      operandsOf(entry).forEach((operand, i) => {
        const value = entry.node.inputs[i];
        expect(operand === null, entry.name).toBe(value === null);
        if (operand && value) expect(operand.bytes.length, entry.name).toBe(Math.ceil(bytesOfType(value.type) / 4) * 4);
      });
  });

  it("show attention one row of every segment", () => {
    const attention = cases.filter(({ node }) => node.op.name === "attention");
    for (const entry of attention) {
      const table = new Uint32Array(operandsOf(entry)[1]!.bytes.buffer);
      const segments = entry.node.inputs.slice(3);
      segments.forEach((segment, s) => {
        const [rows, ...rest] = segment!.type.shape as number[];
        const tokens = rest.slice(0, -1).reduce((product, n) => product * n, 1);
        expect(table[2 * s]).toBeLessThan(rows!);
        expect(table[2 * s + 1]).toBe(tokens);
      });
    }
  });

  it("reach the sizes of Imagen and of Stable Diffusion", () => {
    const names = unetCases("f32").map(({ name }) => name);
    expect(names.some((name) => name.startsWith("conv2d 2x8x8x2816 2x8x8x2816 3x3x5632x2816"))).toBe(true);
    expect(names.some((name) => name.startsWith("attention 2x64x64x960"))).toBe(true);
  });
});

function isOp(value: unknown): value is Op<unknown> {
  return typeof value === "object" && value !== null && "variants" in value && "infer" in value;
}
