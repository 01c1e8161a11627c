import { beforeAll } from "vitest";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
// RMS norm on every kernel.
import { rmsNorm } from "../../src/ops/rms_norm.ts";
import type { RowNormAttributes } from "../../src/ops/row_norm.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomRmsNorm(random: Random): Case<RowNormAttributes> {
  // Up to more than one vec4 a thread of the workgroup kernel.
  const d = random.pick([random.int(1, 70), 4 * random.int(1, 80)]);
  const rows = random.pick([[random.int(1, 30)], [random.int(1, 3), random.int(1, 20)]]);
  return {
    inputs: [{ type: { shape: [...rows, d], dtype: storage(random, d) } }, { type: { shape: [d], dtype: "f32" } }],
    attributes: { epsilon: random.pick([1e-6, 1e-5]), dtype: storage(random, d) },
  };
}

beforeAll(() => loadKernelsFor({ software: false }));

testOp(rmsNorm, randomRmsNorm);
