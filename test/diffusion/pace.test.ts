// Slices of work against a clock that is made up.
import { describe, expect, it } from "vitest";
import { Pace } from "../../src/diffusion/pace.ts";
import { Random } from "../ops/harness.ts";

/** Runs the list once under a budget; returns the slices' times. */
function run(pace: Pace, times: readonly number[], budget: number): number[] {
  const slices: number[] = [];
  for (let from = 0; from < times.length; ) {
    const to = pace.reach(from, budget);
    expect(to).toBeGreaterThan(from);
    expect(to).toBeLessThanOrEqual(times.length);
    const took = times.slice(from, to).reduce((sum, ms) => sum + ms, 0);
    pace.learn(from, to, took);
    slices.push(took);
    from = to;
  }
  return slices;
}

describe("a frame's slice", () => {
  it("is one dispatch before anything was measured", () => {
    expect(new Pace([1, 1, 1]).reach(1, 1000)).toBe(2);
  });

  it("comes to fill the budget and not to exceed it, whatever was guessed", () => {
    const random = new Random(3);
    const times = Array.from({ length: 200 }, () => 0.05 + 0.4 * random.next());
    const pace = new Pace(times.map(() => 1 + 20 * random.next()));
    for (let round = 0; round < 20; round++) run(pace, times, 4);
    const slices = run(pace, times, 4);
    expect(Math.max(...slices)).toBeLessThan(6);
    expect(slices.length).toBeLessThan(times.reduce((sum, ms) => sum + ms, 0) / 2.5);
  });

  it("is one dispatch where that alone takes longer than it may", () => {
    const times = [1, 9, 1, 9, 1, 1];
    const pace = new Pace([1, 1, 1, 1, 1, 1]);
    for (let round = 0; round < 30; round++) run(pace, times, 4);
    expect(pace.reach(1, 4)).toBe(2);
    expect(pace.reach(4, 4)).toBe(6);
  });

  it("grows when the device becomes faster, and shrinks when it becomes slower", () => {
    const pace = new Pace(new Array(100).fill(1));
    const at = (ms: number) => {
      for (let round = 0; round < 10; round++) run(pace, new Array(100).fill(ms), 5);
      return pace.reach(0, 5);
    };
    expect(at(1)).toBeLessThanOrEqual(5);
    expect(at(0.1)).toBeGreaterThan(25);
    expect(at(1)).toBeLessThanOrEqual(6);
  });
});
