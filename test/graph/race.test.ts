// Which of several kernels is taken, on a machine that now and then does other work: by times made up, as a test cannot rely on real ones.
import { describe, expect, it } from "vitest";
import { rank } from "../../src/graph/race.ts";
import { Random } from "../ops/harness.ts";

/** Times of entries that are their own milliseconds; a batch in five takes half as long again. */
function disturbed(seed: number) {
  const random = new Random(seed);
  return async (milliseconds: number) => milliseconds * (random.next() < 0.2 ? 1.5 : 1);
}

const seeds = Array.from({ length: 40 }, (_, i) => i + 1);
const taken = async (times: readonly number[], usual: number, seed: number) =>
  (await rank(times, usual, "device", disturbed(seed)))[0]!.index;

describe("a race", () => {
  it("keeps the usual kernel where another is hardly faster", async () => {
    for (const seed of seeds) expect(await taken([1, 0.99, 1.02], 0, seed)).toBe(0);
  });

  it("takes one that is clearly faster", async () => {
    for (const seed of seeds) expect(await taken([1, 0.9, 1.02], 0, seed)).toBe(1);
  });

  it("takes the fastest where none is usual, and ranks the others by time, also those that it gave up early", async () => {
    const placed = await rank([2, 9, 1], -1, "device", async (milliseconds) => milliseconds);
    expect(placed.map(({ index }) => index)).toEqual([2, 0, 1]);
  });

  it("is won by the usual kernel where it is the only one", async () => {
    expect(await taken([1], 0, 1)).toBe(0);
  });
});
