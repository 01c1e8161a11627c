// The shipped database as a page reads it: what a prompt finds, and its pixels beside those that Node's decoder gave.
import { expect, it } from "vitest";
import { fetchDatabase } from "../../src/index.ts";
import { onWhite } from "../../src/io/picture.ts";
import recorded from "../fixtures/emoji-db.pixels.json";

const folder = new URL("/weights/emoji-db", location.href);

it("search needs the index alone, and a picture its sheet", async () => {
  performance.clearResourceTimings();
  const database = await fetchDatabase(folder);
  const [first, second] = database.search("a pineapple on the beach", { k: 2 });
  expect([first!.entry.entity, second!.entry.entity]).toEqual(["pineapple", "pineapple"]);
  expect(sheetsFetched()).toEqual([]);
  const { width, height } = await database.picture(first!.entry);
  expect([width, height]).toEqual([64, 64]);
  expect(sheetsFetched()).toEqual([first!.entry.sheet]);
});

it("pixels on white are Node's within 1/255, in every sheet, also where they are half transparent", async () => {
  const database = await fetchDatabase(folder);
  expect(Object.keys(recorded).sort()).toEqual([...database.sheets].sort());
  for (const [sheet, pixels] of Object.entries(recorded))
    for (const [id, x, y, ...color] of pixels as [number, number, number, number, number, number][]) {
      const entry = database.entries[id]!;
      expect(entry.sheet).toBe(sheet);
      const values = onWhite(await database.picture(entry)).subarray((y * 64 + x) * 3, (y * 64 + x + 1) * 3);
      color.forEach((byte, channel) => {
        expect(Math.abs(Math.round((values[channel]! + 1) * 127.5) - byte), `${sheet} ${id} (${x}, ${y})`).toBeLessThan(
          2,
        );
      });
    }
});

it("a database that is not there is named", async () => {
  await expect(fetchDatabase(new URL("/weights/none", location.href))).rejects.toMatchObject({
    code: "database",
    message: expect.stringContaining("/weights/none/database.json"),
  });
});

function sheetsFetched(): string[] {
  const names = performance.getEntriesByType("resource").map(({ name }) => new URL(name).pathname.split("/").at(-1)!);
  return names.filter((name) => name.endsWith(".webp"));
}
