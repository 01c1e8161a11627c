// Slices of work against clocks that are made up.
import { describe, expect, it } from "vitest";
import { Pace } from "../../src/diffusion/pace.ts";
import { Random } from "../ops/harness.ts";

/** Tells a pace how long a slice took, by one clock or another. */
type Clock = (pace: Pace, from: number, to: number, milliseconds: number) => void;

const device: Clock = (pace, from, to, milliseconds) => pace.learn(from, to, milliseconds);

/** Sees only whole frames, in which the app and the message's way take 20 ms and more. */
function outside(random: Random): Clock {
  return (pace, from, to, milliseconds) => {
    const late = random.next() < 0.05 ? 40 : 0;
    pace.learnFrame(from, to, 20 + random.next() + late + milliseconds);
  };
}

/** Runs the list once under a budget; returns the slices' own times. */
function run(pace: Pace, times: readonly number[], budget: number, clock: Clock): number[] {
  const slices: number[] = [];
  for (let from = 0; from < times.length; ) {
    const to = pace.reach(from, budget);
    expect(to).toBeGreaterThan(from);
    expect(to).toBeLessThanOrEqual(times.length);
    const took = times.slice(from, to).reduce((sum, ms) => sum + ms, 0);
    clock(pace, from, to, took);
    slices.push(took);
    from = to;
  }
  return slices;
}

const sum = (values: readonly number[]) => values.reduce((all, value) => all + value, 0);

describe("a frame's slice, by the device's clock", () => {
  it("is one dispatch before anything was measured", () => {
    expect(new Pace([1, 1, 1]).reach(1, 1000)).toBe(2);
  });

  it("comes to fill the budget and not to exceed it, whatever was guessed", () => {
    const random = new Random(3);
    const times = Array.from({ length: 200 }, () => 0.05 + 0.4 * random.next());
    const pace = new Pace(times.map(() => 1 + 20 * random.next()));
    for (let round = 0; round < 20; round++) run(pace, times, 4, device);
    const slices = run(pace, times, 4, device);
    expect(Math.max(...slices)).toBeLessThan(6);
    expect(slices.length).toBeLessThan(sum(times) / 2.5);
  });

  it("is one dispatch where that alone takes longer than it may", () => {
    const times = [1, 9, 1, 9, 1, 1];
    const pace = new Pace([1, 1, 1, 1, 1, 1]);
    for (let round = 0; round < 30; round++) run(pace, times, 4, device);
    expect(pace.reach(1, 4)).toBe(2);
    expect(pace.reach(4, 4)).toBe(6);
  });

  it("grows when the device becomes faster, and shrinks when it becomes slower", () => {
    const pace = new Pace(new Array(100).fill(1));
    const at = (ms: number) => {
      for (let round = 0; round < 10; round++) run(pace, new Array(100).fill(ms), 5, device);
      return pace.reach(0, 5);
    };
    expect(at(1)).toBeLessThanOrEqual(5);
    expect(at(0.1)).toBeGreaterThan(25);
    expect(at(1)).toBeLessThanOrEqual(6);
  });
});

describe("a frame's slice where only whole frames can be timed", () => {
  it("is not kept small by the app's own 20 ms, which are not ours", () => {
    const random = new Random(4);
    const times = Array.from({ length: 200 }, () => 0.05 + 0.4 * random.next());
    const pace = new Pace(times.map((ms) => ms * (0.5 + random.next())));
    const clock = outside(random);
    for (let round = 0; round < 5; round++) run(pace, times, 4, clock);
    const slices = Array.from({ length: 5 }, () => run(pace, times, 4, clock)).flat();
    // Every other slice is a smaller one, so the mean is about two thirds of the budget.
    expect(sum(slices) / slices.length).toBeGreaterThan(1.5);
    expect(Math.max(...slices)).toBeLessThan(12);
  });

  it("shrinks when the device becomes slower", () => {
    const random = new Random(5);
    const pace = new Pace(new Array(100).fill(1));
    const clock = outside(random);
    const mean = (ms: number) => {
      for (let round = 0; round < 8; round++) run(pace, new Array(100).fill(ms), 8, clock);
      const slices = Array.from({ length: 8 }, () => run(pace, new Array(100).fill(ms), 8, clock)).flat();
      return sum(slices) / slices.length;
    };
    expect(mean(0.2)).toBeGreaterThan(3);
    expect(mean(4)).toBeLessThan(10);
  });
});
