import { linear } from "../../src/ops/linear.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomLinear(random: Random): Case<Parameters<typeof linear.infer>[1]> {
  const odd = random.next() < 0.3;
  const extent = (most: number) => (odd ? random.int(1, most) : 4 * random.int(1, Math.ceil(most / 4)));
  const [k, n] = [extent(70), extent(90)];
  const rows = random.next() < 0.3 ? [random.int(1, 4)] : [random.int(1, 3), random.int(1, 50)];
  const [kType, nType] = [storage(random, odd ? 1 : k), storage(random, odd ? 1 : n)];
  return {
    inputs: [
      { type: { shape: [...rows, k], dtype: kType } },
      { type: { shape: [k, n], dtype: odd ? "f32" : storage(random, n) } },
      random.next() < 0.5 ? { type: { shape: [n], dtype: "f32" } } : null,
      random.next() < 0.5 ? { type: { shape: [...rows, n], dtype: nType } } : null,
    ],
    attributes: { activation: random.pick(["none", "silu", "gelu", "quick_gelu", "gelu_erf"] as const), dtype: nType },
  };
}

testOp(linear, randomLinear);
