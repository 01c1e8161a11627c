// BM25 ranking over an inverted index held in typed arrays.

import { ReimagenError } from "../errors.ts";

/** A document that a query found. */
export interface Hit {
  /** The document's place in the list that the index was made of. */
  readonly id: number;
  /** Greater is better; always above 0. */
  readonly score: number;
}

/** A ranking over fixed documents. */
export interface Bm25 {
  readonly documentCount: number;
  /**
   * The best k documents that share a term with the query, best first, ties by id; fewer than k if fewer share one.
   * A term that is repeated in the query counts as often as it is named. Errors: argument (k not a whole number from 0).
   */
  search(terms: readonly string[], k: number, exclude?: (id: number) => boolean): Hit[];
}

// Lucene's defaults: how soon repetition saturates, and how much length counts.
const k1 = 1.2;
const b = 0.75;

/**
 * Indexes documents, each a list of terms. The score is Lucene's (BM25Similarity since 8.0, which drops the constant factor k1 + 1):
 *   sum over terms of idf * tf / (tf + k1 * (1 - b + b * dl / avgdl)),  idf = ln(1 + (N - n + 0.5) / (n + 0.5)),
 * with exact document lengths, where Lucene rounds them to a byte.
 */
export function createBm25(documents: readonly (readonly string[])[]): Bm25 {
  const { termIds, offsets, documentIds, frequencies } = invert(documents);
  const count = documents.length;
  const averageLength = documents.reduce((sum, { length }) => sum + length, 0) / count;
  const lengthNorms = Float64Array.from(documents, ({ length }) => k1 * (1 - b + (b * length) / averageLength));

  function search(terms: readonly string[], k: number, exclude: (id: number) => boolean = () => false): Hit[] {
    if (!Number.isInteger(k) || k < 0) {
      throw new ReimagenError("argument", `the number of documents to find is a whole number from 0, and ${k} came`);
    }
    const scores = new Float64Array(count);
    for (const term of terms) {
      const termId = termIds.get(term);
      if (termId === undefined) continue;
      const [begin, end] = [offsets[termId], offsets[termId + 1]];
      const found = end - begin;
      const idf = Math.log(1 + (count - found + 0.5) / (found + 0.5));
      for (let posting = begin; posting < end; posting++) {
        const id = documentIds[posting];
        const frequency = frequencies[posting];
        scores[id] += (idf * frequency) / (frequency + lengthNorms[id]);
      }
    }
    const hits: Hit[] = [];
    for (let id = 0; id < count; id++) {
      if (scores[id] > 0 && !exclude(id)) hits.push({ id, score: scores[id] });
    }
    return hits.sort((x, y) => y.score - x.score || x.id - y.id).slice(0, k);
  }

  return { documentCount: count, search };
}

interface InvertedIndex {
  termIds: Map<string, number>;
  /** Term t's postings are those from offsets[t] to offsets[t + 1]. */
  offsets: Uint32Array;
  documentIds: Uint32Array;
  frequencies: Uint32Array;
}

function invert(documents: readonly (readonly string[])[]): InvertedIndex {
  const postings = new Map<string, number[]>();
  documents.forEach((terms, id) => {
    for (const [term, frequency] of countTerms(terms)) {
      const list = postings.get(term);
      if (list) list.push(id, frequency);
      else postings.set(term, [id, frequency]);
    }
  });
  const termIds = new Map<string, number>();
  const offsets = new Uint32Array(postings.size + 1);
  for (const [term, list] of postings) {
    const termId = termIds.size;
    termIds.set(term, termId);
    offsets[termId + 1] = offsets[termId] + list.length / 2;
  }
  const documentIds = new Uint32Array(offsets[postings.size]);
  const frequencies = new Uint32Array(offsets[postings.size]);
  let posting = 0;
  for (const list of postings.values()) {
    for (let i = 0; i < list.length; i += 2, posting++) {
      documentIds[posting] = list[i];
      frequencies[posting] = list[i + 1];
    }
  }
  return { termIds, offsets, documentIds, frequencies };
}

function countTerms(terms: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>();
  for (const term of terms) counts.set(term, (counts.get(term) ?? 0) + 1);
  return counts;
}
