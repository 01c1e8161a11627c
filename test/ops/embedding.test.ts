// Rows of a table on every kernel, with ids that lie beyond it.
import { expect, it } from "vitest";
import { type EmbeddingAttributes, embedding } from "../../src/ops/embedding.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomEmbedding(random: Random): Case<EmbeddingAttributes> {
  const d = random.pick([random.int(1, 40), 4 * random.int(1, 10)]);
  const row = random.next() < 0.4 ? [random.int(1, 4), random.int(1, 4), d] : [d];
  // The harness draws ids of 0 to 7: below 8 rows, some of them are beyond the table.
  return {
    inputs: [
      { type: { shape: [random.int(1, 12), ...row], dtype: storage(random, d) } },
      { type: { shape: random.pick([[random.int(1, 9)], [random.int(1, 3), random.int(1, 9)]]), dtype: "u32" } },
    ],
    attributes: { dtype: storage(random, d), rowAxes: random.int(1, row.length) },
  };
}

testOp(embedding, randomEmbedding);

it("refuses ids that are not integers", () => {
  const f32 = (...shape: number[]) => ({ shape, dtype: "f32" as const });
  expect(() => embedding.infer([f32(9, 4), f32(2)], {})).toThrow("embedding: ids must be u32, got f32");
});
