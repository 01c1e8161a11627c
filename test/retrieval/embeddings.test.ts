// Embeddings: stored and read back, and the nearest found as a full sort finds them.
import { describe, expect, it } from "vitest";
import { bytesSource } from "../../src/io/source.ts";
import { type Embeddings, nearest, readEmbeddings, writeEmbeddings } from "../../src/retrieval/embeddings.ts";
import { Random } from "../ops/harness.ts";

function randomEmbeddings(count: number, dim: number, seed: number): Embeddings {
  const random = new Random(seed);
  const vectors = new Float32Array(count * dim);
  for (let row = 0; row < count; row++) {
    const values = Float32Array.from({ length: dim }, () => random.normal());
    const length = Math.hypot(...values);
    vectors.set(
      values.map((value) => value / length),
      row * dim,
    );
  }
  return { count, dim, vectors };
}

describe("embeddings", () => {
  it("find what a full sort by cosine finds, for every k and with exclusions", () => {
    const embeddings = randomEmbeddings(500, 24, 1);
    const query = randomEmbeddings(1, 24, 2).vectors;
    // Rows that are equal: ties are settled by id.
    embeddings.vectors.copyWithin(300 * 24, 20 * 24, 21 * 24);
    const scores = Array.from({ length: 500 }, (_, id) => {
      const row = embeddings.vectors.subarray(id * 24, id * 24 + 24);
      return { id, score: row.reduce((sum, value, i) => sum + value * query[i]!, 0) };
    });
    for (const exclude of [undefined, (id: number) => id % 3 === 0])
      for (const k of [0, 1, 2, 8, 500]) {
        const sorted = scores.filter(({ id }) => !exclude?.(id)).sort((a, b) => b.score - a.score || a.id - b.id);
        const found = nearest(embeddings, query, k, exclude);
        expect(found.map(({ id }) => id)).toEqual(sorted.slice(0, k).map(({ id }) => id));
        found.forEach(({ score }, i) => {
          expect(score).toBeCloseTo(sorted[i]!.score, 5);
        });
      }
  });

  it("are read as they were written, in half precision, and written anew to the same bytes", async () => {
    const embeddings = randomEmbeddings(40, 16, 3);
    const file = writeEmbeddings(embeddings);
    const read = await readEmbeddings(bytesSource("embeddings.safetensors", file), 40);
    expect([read.count, read.dim]).toEqual([40, 16]);
    read.vectors.forEach((value, i) => {
      expect(Math.abs(value - embeddings.vectors[i]!)).toBeLessThan(2 ** -11);
    });
    expect(writeEmbeddings(read)).toEqual(file);
  });

  it("of another database, or of another retriever, are refused", async () => {
    const file = bytesSource("e.safetensors", writeEmbeddings(randomEmbeddings(40, 16, 3)));
    await expect(readEmbeddings(file, 41)).rejects.toThrow(
      'e.safetensors should hold one tensor "embeddings", F16 or F32, with a row for each of 41 entries, got F16 [40,16]',
    );
    expect(() => nearest(randomEmbeddings(4, 16, 1), new Float32Array(8), 1)).toThrow("another retriever made them");
  });
});
