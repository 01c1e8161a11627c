// Timestep features, over the times of a sampler and where single-precision angles would be off.
import { describe, expect, it } from "vitest";
import { type TimestepFeaturesAttributes, timestepFeatures } from "../../src/ops/timestep_features.ts";
import { testGpu } from "../gpu.ts";
import { type Case, checkCase, Random, testOp } from "./harness.ts";

function randomFeatures(random: Random): Case<TimestepFeaturesAttributes> {
  const batch = random.int(1, 5);
  // Times in [0, 1], or whole steps of 0 to 999: angles up to 1000 either way.
  const steps = random.next() < 0.5;
  const time = () => (steps ? random.int(0, 999) : random.next());
  return {
    inputs: [{ type: { shape: [batch], dtype: "f32" }, data: Float64Array.from({ length: batch }, time) }],
    attributes: {
      dim: 2 * random.int(2, 160),
      order: random.pick(["cos-sin", "sin-cos"] as const),
      shift: random.int(0, 1),
      ...(steps ? { scale: 1 } : {}),
      ...(random.next() < 0.3 ? { maxPeriod: 1000 } : {}),
    },
  };
}

// An angle of 1000 kept in single precision is off by 3e-5 and more.
testOp(timestepFeatures, randomFeatures, { tolerance: 1e-6 });

describe("timestep_features", () => {
  it("holds at the first and last steps of a sampler, and at angles of 10,000 and below zero", async () => {
    const gpu = await testGpu();
    const data = Float64Array.of(0, 1e-4, 0.0005, 0.5, 0.999, 1, 10, -0.7);
    const input = { type: { shape: [data.length], dtype: "f32" as const }, data };
    const attributes = { dim: 128, order: "cos-sin" } as const;
    for (const variant of timestepFeatures.variants)
      await checkCase(gpu, timestepFeatures, variant, [input], attributes, new Random(1), 1e-6);
  });

  it("refuses an odd number of features", () => {
    const t = { shape: [2], dtype: "f32" as const };
    expect(() => timestepFeatures.infer([t], { dim: 7, order: "cos-sin" })).toThrow(
      "timestep_features: dim must be even and positive, got 7",
    );
  });
});
