// Whether choices stand when they are measured again: what the bench says of two rounds of tuning whose times are known.
import { expect, it } from "vitest";
import { picks, regrets } from "../../bench/lab/tuning.ts";
import type { Tuned } from "../../src/graph/tuning.ts";

const ranked = (...times: readonly [string, number][]): Tuned => ({
  ranking: times.map(([variant, milliseconds]) => ({ variant, milliseconds })),
  wrong: [],
});

it("holds the choice of one round against the best of another, where there was a choice", () => {
  const first = new Map([
    ["close", ranked(["tiled", 1], ["register", 1.1])],
    ["far", ranked(["tiled", 1], ["register", 4])],
    ["single", ranked(["tiled", 1])],
    ["gone", ranked(["tiled", 1], ["register", 4])],
  ]);
  const second = new Map([
    ["close", ranked(["register", 1], ["tiled", 1.2])],
    ["far", ranked(["tiled", 1.5], ["register", 4])],
    ["single", ranked(["tiled", 1])],
  ]);
  expect(regrets(picks(first), second).map(({ kind, regret }) => [kind, regret])).toEqual([
    ["close", 1.2],
    ["far", 1],
  ]);
});
