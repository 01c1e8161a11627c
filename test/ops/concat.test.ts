// Concatenation along the last axis on every kernel.
import { expect, it } from "vitest";
import { concat } from "../../src/ops/concat.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomConcat(random: Random): Case<Record<string, never>> {
  const step = random.pick([1, 4]);
  const [c, d] = [step * random.int(1, 12), step * random.int(1, 12)];
  const leading = random.pick([[random.int(1, 50)], [random.int(1, 3), random.int(1, 9), random.int(1, 9)]]);
  return {
    inputs: [
      { type: { shape: [...leading, c], dtype: storage(random, c) } },
      { type: { shape: [...leading, d], dtype: storage(random, d) } },
    ],
    attributes: {},
  };
}

testOp(concat, randomConcat);

it("refuses tensors whose rows differ", () => {
  const f32 = (...shape: number[]) => ({ shape, dtype: "f32" as const });
  expect(() => concat.infer([f32(2, 5, 3), f32(2, 6, 3)], {})).toThrow("concat: b must be [2, 5, 3], got [2, 6, 3]");
});
