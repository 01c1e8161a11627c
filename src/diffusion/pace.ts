// How many dispatches fit a frame: learnt from how long earlier slices took.

/** A slice's surprise is laid on its dispatches by halves (in the exponent): one late frame does not undo what was learnt. */
const trust = 0.5;

/** Frames whose lengths tell how much of a frame is ours; older ones are forgotten, as apps and devices change. */
const remembered = 24;

/** A slice is at most so many times as much work as the largest that is remembered: what was not tried is not trusted. */
const growth = 2;

/** Shares of the budget that slices take in turn where only whole frames can be timed: frames of one size tell nothing about what a dispatch adds. */
const shares = [1, 0.5, 1, 0.25];

/** Splits a repeated list of dispatches into slices that take about as long as they may. */
export class Pace {
  /** What each dispatch costs, in units of which `#rate` says how long they take. */
  readonly #work: Float64Array;
  /** Milliseconds a unit; undefined before anything was timed. */
  #rate: number | undefined;
  #frames: { readonly work: number; readonly milliseconds: number }[] = [];
  #turn = 0;

  /** `work`: what the dispatches cost, relative to one another, as far as it can be told without running them. */
  constructor(work: readonly number[]) {
    this.#work = Float64Array.from(work);
  }

  /** The end of the slice from `from` that takes at most `budget` milliseconds; at least one dispatch, and none from `end` on. */
  reach(from: number, budget: number, end = this.#work.length): number {
    const most =
      this.#frames.length > 0 ? this.#mostOfFrames(budget) : budget / (this.#rate ?? Number.POSITIVE_INFINITY);
    let to = from + 1;
    let sum = this.#work[from]!;
    while (to < Math.min(end, this.#work.length) && sum + this.#work[to]! <= most) sum += this.#work[to++]!;
    return to;
  }

  /** Takes in that dispatches `from` to (not with) `to` took so many milliseconds by the device's clock. */
  learn(from: number, to: number, milliseconds: number): void {
    const took = Math.max(milliseconds, 1e-3);
    const work = this.#sum(from, to);
    this.#rate ??= took / work;
    const surprise = (took / (work * this.#rate)) ** trust;
    for (let i = from; i < to; i++) this.#work[i]! *= surprise;
  }

  /**
   * Takes in that a frame with these dispatches took so many milliseconds from its submit to its end, where no clock tells our share: the
   * app's own work, others' and the way of the message are in it, and may be far longer. What a unit takes is the slope over frames of
   * different size, the median of that of all pairs (Theil, 1950; Sen, 1968), which a few frames that were late for other reasons do not move.
   */
  learnFrame(from: number, to: number, milliseconds: number): void {
    this.#frames = [...this.#frames.slice(1 - remembered), { work: this.#sum(from, to), milliseconds }];
    const slopes = this.#frames.flatMap((a, i) =>
      this.#frames
        .slice(i + 1)
        .filter((b) => b.work !== a.work)
        .map((b) => (b.milliseconds - a.milliseconds) / (b.work - a.work)),
    );
    if (slopes.length === 0) return;
    slopes.sort((a, b) => a - b);
    // Too little to be told from the rest of the frame: then only `growth` bounds the next slice.
    this.#rate = Math.max(slopes[Math.floor(slopes.length / 2)]!, Number.MIN_VALUE);
  }

  #mostOfFrames(budget: number): number {
    const share = shares[this.#turn++ % shares.length]!;
    const tried = Math.max(...this.#frames.map(({ work }) => work));
    return Math.min((budget * share) / (this.#rate ?? 0), tried * growth);
  }

  #sum(from: number, to: number): number {
    return this.#work.subarray(from, to).reduce((sum, work) => sum + work, 0);
  }
}
