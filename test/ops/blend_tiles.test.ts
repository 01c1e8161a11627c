import { describe, expect, it } from "vitest";
import { type BlendTilesAttributes, blendTiles, tileStart } from "../../src/ops/blend_tiles.ts";
import { type Case, type Random, testOp } from "./harness.ts";

function randomTiles(random: Random): Case<BlendTilesAttributes> {
  const [h, w] = [random.int(1, 6), random.int(1, 6)];
  // Never a place without a tile.
  const [rows, columns] = [random.int(1, 4), random.int(1, 4)];
  const [height, width] = [rows === 1 ? h : random.int(h, rows * h), columns === 1 ? w : random.int(w, columns * w)];
  const type = (...shape: number[]) => ({ type: { shape, dtype: "f32" } as const });
  const tiles = type(rows * columns, random.int(1, 3), h, w, random.int(1, 5));
  return { inputs: [tiles, type(rows, height), type(columns, width)], attributes: { rows, columns } };
}

testOp(blendTiles, randomTiles);

describe("tiles of an axis", () => {
  it("begin with it, end with it, and leave nothing between them", () => {
    for (const [extent, length, count] of [
      [10, 4, 3],
      [11, 4, 3],
      [64, 24, 4],
      [7, 7, 1],
    ] as const) {
      const starts = Array.from({ length: count }, (_, i) => tileStart(extent, length, count, i));
      expect([starts[0], starts.at(-1)]).toEqual([0, extent - length]);
      for (const [i, start] of starts.entries()) if (i) expect(start - starts[i - 1]!).toBeLessThanOrEqual(length);
    }
  });
});
