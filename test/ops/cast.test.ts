// Casts both ways, and what halves do to values at the ends of their range.
import { expect, it } from "vitest";
import { type CastAttributes, cast } from "../../src/ops/cast.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, type Random, testOp } from "./harness.ts";

function randomCast(random: Random): Case<CastAttributes> {
  const shape = [random.int(1, 3), random.int(1, 30), 4 * random.int(1, 16)];
  const dtypes = ["f32", "f16"] as const;
  return { inputs: [{ type: { shape, dtype: random.pick(dtypes) } }], attributes: { dtype: random.pick(dtypes) } };
}

testOp(cast, randomCast);

it("keeps the largest half and the values that halves hold exactly", async () => {
  const gpu = await testGpu();
  const data = Float64Array.of(65504, -65504, 2 ** -14, 0.333251953125, 2048, -0.5, 0, 1);
  const x = { type: { shape: [8], dtype: "f32" as const }, data };
  const output = cast.infer([x.type], { dtype: "f16" });
  const launch = cast.variants[0]!.launch([x.type], output, { dtype: "f16" }, gpu.traits);
  expect([...(await execute(gpu, launch, [x], output))]).toEqual([...data]);
});

it("refuses a tensor whose halves could not be packed", () => {
  expect(() => cast.infer([{ shape: [2, 3], dtype: "f32" }], { dtype: "f16" })).toThrow(
    "cast: x must be [..., a multiple of 4], got [2, 3]",
  );
});
