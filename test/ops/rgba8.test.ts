import { expect, it } from "vitest";
import { sizeOf, type TensorType } from "../../src/ops/op.ts";
import { toRgba8 } from "../../src/ops/rgba8.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, Random, testOp } from "./harness.ts";

testOp(toRgba8, (random: Random): Case<Record<string, never>> => {
  const shape = [random.int(1, 3), random.int(1, 30), random.int(1, 30), 3];
  return { inputs: [{ type: { shape, dtype: "f32" } }], attributes: {} };
});

/** Two pictures of 16 x 16 pixels: every level twice and a half, then saturated ones. */
const type: TensorType = { shape: [2, 16, 16, 3], dtype: "f32" };
function pictures(): { data: Float64Array; bytes: number[] } {
  const random = new Random(8);
  const levels = Array.from({ length: sizeOf(type) }, (_, i) => (i < 768 ? i % 256 : random.int(-100, 400)));
  // A third off the level rounds back to it.
  const data = Float64Array.from(levels, (level, i) => (level + ((i % 3) - 1) / 3) / 127.5 - 1);
  const clamped = levels.map((level) => Math.min(Math.max(level, 0), 255));
  return { data, bytes: clamped.flatMap((byte, i) => (i % 3 === 2 ? [byte, 255] : [byte])) };
}

it("rgba8 meets every level, red in the lowest byte", async () => {
  const gpu = await testGpu();
  const { data, bytes } = pictures();
  const output = toRgba8.infer([type], {});
  const launch = toRgba8.variants[0]!.launch([type], output, {}, gpu.traits);
  const words = Uint32Array.from(await execute(gpu, launch, [{ type, data }], output));
  expect([...new Uint8Array(words.buffer)]).toEqual(bytes);
});
