// Mean pooling on every kernel, with empty rows and lengths beyond the tokens there are.
import { meanPool } from "../../src/ops/mean_pool.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomPool(random: Random): Case<Record<string, never>> {
  const d = random.pick([random.int(1, 40), 4 * random.int(1, 16)]);
  const rows = random.int(1, 9);
  // The harness draws lengths of 0 to 7.
  return {
    inputs: [
      { type: { shape: [rows, random.int(4, 20), d], dtype: storage(random, d) } },
      { type: { shape: [rows], dtype: "u32" } },
    ],
    attributes: {},
  };
}

testOp(meanPool, randomPool);
