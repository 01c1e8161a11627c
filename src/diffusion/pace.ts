// How many dispatches fit a frame: learnt from how long earlier slices took.

/** Nothing is known before the first slice was timed, so that is one dispatch. */
const unknown = Number.POSITIVE_INFINITY;

/** A slice's surprise is laid on its dispatches by halves (in the exponent): one late frame does not undo what was learnt. */
const trust = 0.5;

/** Splits a repeated list of dispatches into slices that take about as long as they may. */
export class Pace {
  /** Milliseconds that each dispatch is expected to take. */
  readonly #expected: Float64Array;
  readonly #work: readonly number[];
  #learnt = false;

  /** `work`: what the dispatches cost, relative to one another, as far as it can be told without running them. */
  constructor(work: readonly number[]) {
    this.#work = work;
    this.#expected = new Float64Array(work.length).fill(unknown);
  }

  /** The end of the slice from `from` that takes at most `budget` milliseconds; at least one dispatch. */
  reach(from: number, budget: number): number {
    let to = from + 1;
    let sum = this.#expected[from]!;
    while (to < this.#expected.length && sum + this.#expected[to]! <= budget) sum += this.#expected[to++]!;
    return to;
  }

  /** Takes in that dispatches `from` to (not with) `to` took so many milliseconds together. */
  learn(from: number, to: number, milliseconds: number): void {
    const took = Math.max(milliseconds, 1e-3);
    if (!this.#learnt) {
      const work = this.#work.slice(from, to).reduce((sum, w) => sum + w, 0);
      this.#work.forEach((w, i) => {
        this.#expected[i] = (took * w) / work;
      });
      this.#learnt = true;
      return;
    }
    const expected = this.#expected.subarray(from, to).reduce((sum, ms) => sum + ms, 0);
    const surprise = (took / expected) ** trust;
    for (let i = from; i < to; i++) this.#expected[i]! *= surprise;
  }
}
