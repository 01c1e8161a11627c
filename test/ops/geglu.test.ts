import { geglu } from "../../src/ops/geglu.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomGeglu(random: Random): Case<Record<string, never>> {
  const f = random.pick([random.int(1, 70), 4 * random.int(1, 20)]);
  const shape = [random.int(1, 3), random.int(1, 40), 2 * f];
  return { inputs: [{ type: { shape, dtype: storage(random, f) } }], attributes: {} };
}

testOp(geglu, randomGeglu);
