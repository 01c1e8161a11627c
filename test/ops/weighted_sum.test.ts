import { expect, it } from "vitest";
import { weightedSum } from "../../src/ops/weighted_sum.ts";
import { type Case, type Random, testOp } from "./harness.ts";

testOp(weightedSum, (random: Random): Case<Record<string, never>> => {
  const shape = [random.int(1, 3), ...random.pick([[random.int(1, 20), random.int(1, 20), 4], [random.int(1, 500)]])];
  const type = { shape, dtype: "f32" } as const;
  return {
    inputs: [...Array.from({ length: 5 }, () => ({ type })), { type: { shape: [5], dtype: "f32" } }],
    attributes: {},
  };
});

it("weighted_sum refuses operands of other shapes", () => {
  const type = { shape: [1, 8], dtype: "f32" } as const;
  const other = { shape: [1, 9], dtype: "f32" } as const;
  expect(() => weightedSum.infer([type, type, other, type, type, { shape: [5], dtype: "f32" }], {})).toThrow("c");
});
