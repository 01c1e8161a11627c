import { averagePool } from "../../src/ops/average_pool.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomPool(random: Random): Case<Record<string, never>> {
  const channels = random.pick([random.int(1, 20), 4 * random.int(1, 10)]);
  const shape = [random.int(1, 3), random.int(2, 11), random.int(2, 11), channels];
  return { inputs: [{ type: { shape, dtype: storage(random, channels) } }], attributes: {} };
}

testOp(averagePool, randomPool);
