import { expect, it } from "vitest";
import { guidance } from "../../src/ops/guidance.ts";
import { type Case, type Random, testOp } from "./harness.ts";

testOp(guidance, (random: Random): Case<Record<string, never>> => {
  const samples = random.int(1, 3);
  const picture = random.pick([[random.int(1, 20), random.int(1, 20), 3], [random.int(1, 500)], [16, 16, 3]]);
  return {
    inputs: [
      { type: { shape: [2 * samples, ...picture], dtype: "f32" } },
      { type: { shape: [samples], dtype: "f32" } },
    ],
    attributes: {},
  };
});

it("guidance refuses a batch with no base for a sample", () => {
  const model = { shape: [3, 8, 8, 3], dtype: "f32" } as const;
  expect(() => guidance.infer([model, { shape: [1], dtype: "f32" }], {})).toThrow("[2N, ...], got [3, 8, 8, 3]");
});
