// Channels cut out of wider tensors, on every kernel.
import { expect, it } from "vitest";
import { type SliceAttributes, slice } from "../../src/ops/slice.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomSlice(random: Random): Case<SliceAttributes> {
  const step = random.pick([1, 4]);
  const [before, count, after] = [step * random.int(0, 9), step * random.int(1, 9), step * random.int(0, 9)];
  const channels = before + count + after;
  const shape = [random.int(1, 3), random.int(1, 9), random.int(1, 9), channels];
  const dtype = step === 4 ? storage(random, channels) : "f32";
  return { inputs: [{ type: { shape, dtype } }], attributes: { from: before, count } };
}

testOp(slice, randomSlice);

it("refuses channels that are not there, and halves that are not packed apart", () => {
  const x = (dtype: "f32" | "f16") => ({ shape: [2, 8], dtype });
  expect(() => slice.infer([x("f32")], { from: 5, count: 4 })).toThrow("f32 [2, 8] has no 4 channels from 5 on");
  expect(() => slice.infer([x("f16")], { from: 2, count: 4 })).toThrow("f16 [2, 8] has no 4 channels from 2 on");
});
