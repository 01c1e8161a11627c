// BM25 against hand-computed values and a plain reference.
import { describe, expect, it } from "vitest";
import { createBm25 } from "../../src/retrieval/bm25.ts";

const k1 = 1.2;
const b = 0.75;

function referenceScores(documents: string[][], query: string[]): number[] {
  const averageLength = documents.reduce((sum, document) => sum + document.length, 0) / documents.length;
  return documents.map((document) => {
    let score = 0;
    for (const term of query) {
      const n = documents.filter((other) => other.includes(term)).length;
      const tf = document.filter((other) => other === term).length;
      const idf = Math.log(1 + (documents.length - n + 0.5) / (n + 0.5));
      score += (idf * tf) / (tf + k1 * (1 - b + (b * document.length) / averageLength));
    }
    return score;
  });
}

function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

describe("BM25", () => {
  it("scores a small corpus as one does by hand", () => {
    const bm25 = createBm25([["sloth", "tree"], ["sloth", "sloth", "beach", "sea"], ["moose"], ["beach"]]);
    // N = 4, n(sloth) = 2: idf = ln(1 + 2.5 / 2.5) = ln 2; lengths 2, 4, 1, 1: average 2.
    const hits = bm25.search(["sloth"], 4);
    expect(hits.map(({ id }) => id)).toEqual([1, 0]);
    expect(hits[0].score).toBeCloseTo((Math.LN2 * 2) / (2 + 1.2 * 1.75), 12);
    expect(hits[1].score).toBeCloseTo((Math.LN2 * 1) / (1 + 1.2 * 1), 12);
    // n(moose) = 1: idf = ln(1 + 3.5 / 1.5); length 1 of average 2.
    const [moose] = bm25.search(["moose"], 1);
    expect(moose.id).toBe(2);
    expect(moose.score).toBeCloseTo(Math.log(10 / 3) / (1 + 1.2 * 0.625), 12);
  });

  it("agrees with the plain sum on random corpora", () => {
    const random = seededRandom(11);
    const word = () => `w${Math.floor(30 * random() ** 2)}`;
    for (let corpus = 0; corpus < 20; corpus++) {
      const documents = Array.from({ length: 60 }, () => Array.from({ length: Math.floor(random() * 12) }, word));
      const bm25 = createBm25(documents);
      const query = Array.from({ length: 4 }, word);
      const expected = referenceScores(documents, query)
        .map((score, id) => ({ id, score }))
        .filter(({ score }) => score > 0);
      const hits = bm25.search(query, documents.length);
      expect(hits.map(({ id }) => id).sort((x, y) => x - y)).toEqual(expected.map(({ id }) => id));
      const scores = new Map(expected.map(({ id, score }) => [id, score]));
      for (const { id, score } of hits) expect(score).toBeCloseTo(scores.get(id)!, 12);
      for (let i = 1; i < hits.length; i++) {
        const [better, worse] = [hits[i - 1], hits[i]];
        expect(better.score > worse.score || (better.score === worse.score && better.id < worse.id)).toBe(true);
      }
      expect(bm25.search(query, 5)).toEqual(hits.slice(0, 5));
    }
  });

  it("breaks ties by id, leaves out what is excluded, and finds nothing for unknown words", () => {
    const bm25 = createBm25([["a"], ["a"], [], ["a"], ["constructor"]]);
    expect(bm25.search(["a"], 2).map(({ id }) => id)).toEqual([0, 1]);
    expect(bm25.search(["a"], 2, (id) => id === 0).map(({ id }) => id)).toEqual([1, 3]);
    expect(bm25.search(["b", "toString"], 2)).toEqual([]);
    expect(bm25.search(["constructor"], 9).map(({ id }) => id)).toEqual([4]);
    expect(bm25.search(["a"], 0)).toEqual([]);
    expect(createBm25([]).search(["a"], 3)).toEqual([]);
    for (const k of [-1, 1.5, Number.NaN]) {
      expect(() => bm25.search(["a"], k)).toThrow(expect.objectContaining({ code: "argument" }));
    }
  });
});
