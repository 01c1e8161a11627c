// The gated gelu on every kernel, and at the far ends of gelu.
import { it } from "vitest";
import { gatedGelu } from "../../src/ops/gated_gelu.ts";
import { testGpu } from "../gpu.ts";
import { type Case, checkCase, Random, storage, testOp } from "./harness.ts";

function randomGate(random: Random): Case<Record<string, never>> {
  const f = random.pick([random.int(1, 70), 4 * random.int(1, 20)]);
  const shape = [random.int(1, 3), random.int(1, 40), f];
  return {
    inputs: [{ type: { shape, dtype: storage(random, f) } }, { type: { shape, dtype: storage(random, f) } }],
    attributes: {},
  };
}

testOp(gatedGelu, randomGate);

it("stays finite where the tanh saturates", async () => {
  const gpu = await testGpu();
  const type = { shape: [8], dtype: "f32" as const };
  const a = { type, data: Float64Array.of(-1e6, -100, -10, -1, 1, 10, 100, 1e6) };
  for (const variant of gatedGelu.variants)
    await checkCase(gpu, gatedGelu, variant, [a, { type }], {}, new Random(3), 1e-5);
});
