// The recorded pixels that browsers are compared with are what Node's decoder gives.
import { expect, it } from "vitest";
import { openDatabase } from "../../src/node/emoji-database.ts";
import recorded from "../fixtures/emoji-db.pixels.json" with { type: "json" };

it("pixels of every sheet, on white, are the recorded ones", async () => {
  const database = await openDatabase(new URL("../../weights/emoji-db", import.meta.url).pathname);
  for (const rows of Object.values(recorded))
    for (const [id, x, y, ...color] of rows as [number, number, number, number, number, number][]) {
      const { pixels } = await database.picture(database.entries[id]!);
      const [red, green, blue, alpha] = pixels.subarray((y * 64 + x) * 4, (y * 64 + x + 1) * 4);
      const onWhite = [red!, green!, blue!].map((value) => Math.round((value * alpha!) / 255 + 255 - alpha!));
      expect(onWhite, `picture ${id} at (${x}, ${y})`).toEqual(color);
    }
});
