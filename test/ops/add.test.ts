// Sums on every kernel, with b whole and b repeated over the leading axes.
import { expect, it } from "vitest";
import { type AddAttributes, add } from "../../src/ops/add.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomAdd(random: Random): Case<AddAttributes> {
  const d = random.pick([random.int(1, 40), 4 * random.int(1, 10)]);
  const shape = [random.int(1, 3), random.int(1, 9), random.int(1, 9), d];
  const trailing = shape.slice(random.int(0, 3));
  const ones = Array.from({ length: random.int(0, 4 - trailing.length) }, () => 1);
  return {
    inputs: [
      { type: { shape, dtype: storage(random, d) } },
      { type: { shape: [...ones, ...trailing], dtype: storage(random, d) } },
    ],
    attributes: {
      activation: random.pick(["none", "silu", "gelu", "gelu_erf", "quick_gelu"] as const),
      scale: random.pick([1, 1, 0.7]),
    },
  };
}

testOp(add, randomAdd, { count: 60 });

it("refuses a b that would have to repeat over inner axes", () => {
  const f32 = (...shape: number[]) => ({ shape, dtype: "f32" as const });
  expect(() => add.infer([f32(2, 3, 8), f32(2, 1, 8)], {})).toThrow(
    "add: b must be [2, 3, 8] or a trailing part of it, got [2, 1, 8]",
  );
  expect(() => add.infer([f32(8), f32(1, 8)], {})).toThrow("got [1, 8]");
});
