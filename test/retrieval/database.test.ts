// The shipped neighbour database: the right pictures for prompts, their pixels, and malformed ones refused.
import { copyFile, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Picture } from "../../src/io/picture.ts";
import { openDatabase } from "../../src/node/emoji-database.ts";
import { createDatabase, type NeighborDatabase } from "../../src/retrieval/database.ts";
import { foldedWords } from "../../src/retrieval/terms.ts";

const folder = new URL("../../weights/emoji-db/", import.meta.url).pathname;
let database: NeighborDatabase;
beforeAll(async () => {
  database = await openDatabase(folder);
});

const found = (prompt: string, k: number) => database.search(prompt, { k }).map(({ entry }) => entry);
const entitiesFor = (prompt: string, k = 2) => found(prompt, k).map(({ entity }) => entity);
const article = (noun: string) => (/^[aeiou]/.test(noun) ? `an ${noun}` : `a ${noun}`);

describe("the shipped database", () => {
  it("holds what its licence notice says", () => {
    expect(database.entries.length).toBe(8216);
    expect(new Set(database.entries.map(({ entity }) => entity)).size).toBe(1161);
    expect(new Set(database.entries.map(({ style }) => style)).size).toBe(8);
    const heldOut = new Set(database.entries.filter((entry) => entry.heldOut).map(({ entity }) => entity));
    expect(heldOut.size).toBe(60);
    expect(heldOut.has("moose")).toBe(true);
    expect(found("a sloth", 1)[0]).toMatchObject({
      entity: "sloth",
      caption: "sloth emoji",
      group: "animals-nature",
      size: 64,
      heldOut: false,
    });
  });

  it("finds two pictures of the entity for held-out entities in every kind of scene", () => {
    const heldOut = [...new Set(database.entries.filter((entry) => entry.heldOut).map(({ entity }) => entity))];
    const scenes = [
      "on the beach",
      "in the snow",
      "under a starry night sky",
      "in front of a mountain",
      "on the surface of the moon",
      "on a red background",
    ];
    const missed = heldOut.flatMap((entity) =>
      scenes
        .map((scene) => `${article(entity)} ${scene}`)
        .filter((prompt) => {
          const pair = entitiesFor(prompt);
          return pair.length !== 2 || pair.some((other) => other !== entity);
        }),
    );
    expect(missed).toEqual([]);
  });

  it("takes the subject of a prompt, not its surroundings", () => {
    for (const [prompt, entity] of [
      ["a moose on a sunset beach", "moose"],
      ["A photo of two foxes, next to a penguin", "fox"],
      ["a small sun in the top left", "sun"],
      ["a sloth riding a bicycle", "sloth"],
      ["a chicken sandwich on a wooden table", "sandwich"],
      ["a bowl with spoon on a table", "bowl with spoon"],
      ["wolves in the snow", "wolf"],
      ["birds above a moose", "bird"],
      ["a pinata at night", "piñata"],
      ["a kitten in a room", "cat"],
    ]) {
      expect(entitiesFor(prompt), prompt).toEqual([entity, entity]);
    }
  });

  it("shows different styles first, and look-alikes last", () => {
    const eight = found("a horse on the beach", 8);
    expect(new Set(eight.map(({ entity }) => entity)).size).toBe(1);
    expect(new Set(eight.slice(0, 6).map(({ family }) => family)).size).toBe(6);
    expect(eight.at(-1)?.style).toBe("fluent-3d");
    const sloths = found("a sloth", 5);
    expect(sloths.map(({ style }) => style)).toEqual([
      "noto",
      "twemoji",
      "fluent-emoji",
      "fluent-emoji-flat",
      "fluent-3d",
    ]);
    expect(found("a sloth", 5)).toEqual(sloths);
  });

  it("leaves out what the caller excludes", () => {
    const [first] = database.search("a sloth", { k: 1 });
    const others = database.search("a sloth", { k: 2, exclude: ({ style }) => style === first.entry.style });
    expect(others.map(({ entry }) => entry.entity)).toEqual(["sloth", "sloth"]);
    expect(others.every(({ entry, score }) => entry.style !== first.entry.style && score === first.score)).toBe(true);
    expect(database.search("a sloth", { k: 2, exclude: () => true })).toEqual([]);
  });

  it("finds nothing for no known word, and refuses an impossible k", () => {
    expect(database.search("", { k: 4 })).toEqual([]);
    expect(database.search("the of on", { k: 4 })).toEqual([]);
    expect(database.search("xyzzy", { k: 4 })).toEqual([]);
    expect(database.search("a sloth", { k: 0 })).toEqual([]);
    for (const k of [-1, 1.5, 8217]) {
      expect(() => database.search("a sloth", { k })).toThrow(
        expect.objectContaining({ code: "argument", message: expect.stringContaining(`and ${k} were asked for`) }),
      );
    }
  });

  it("gives tiles with their art on them", async () => {
    const [first, second] = found("a moose", 2);
    const [one, again, other] = await Promise.all([first, first, second].map((entry) => database.picture(entry)));
    expect([one.width, one.height, one.pixels.length]).toEqual([64, 64, 64 * 64 * 4]);
    expect(again).toEqual(one);
    expect(other).not.toEqual(one);
    const alpha = one.pixels.filter((_, i) => i % 4 === 3);
    expect(alpha.filter((value) => value === 0).length).toBeGreaterThan(200);
    expect(alpha.filter((value) => value === 255).length).toBeGreaterThan(800);
  });
});

describe("a sheet", () => {
  const file = {
    size: 2,
    columns: 2,
    entities: [
      { entity: "fox", group: "animals", tags: ["red"] },
      { entity: "owl", group: "animals", tags: [], heldOut: true },
    ],
    sheets: [{ file: "one.png", style: "ink", family: "ink", entities: [0, 1, 1] }],
  };
  const picture: Picture = { width: 4, height: 4, pixels: Uint8Array.from({ length: 64 }, (_, i) => i) };

  it("is decoded once, and asked for again only if that failed", async () => {
    let calls = 0;
    const small = createDatabase("small", JSON.stringify(file), async () => {
      calls++;
      if (calls === 1) throw new Error("offline");
      return picture;
    });
    const third = small.entries[2];
    expect(third).toMatchObject({ id: 2, entity: "owl", heldOut: true, x: 0, y: 2 });
    await expect(small.picture(third)).rejects.toThrow("offline");
    const tile = await small.picture(third);
    await small.picture(small.entries[0]);
    expect(calls).toBe(2);
    expect([...tile.pixels]).toEqual([32, 33, 34, 35, 36, 37, 38, 39, 48, 49, 50, 51, 52, 53, 54, 55]);
  });

  it("that is smaller than its tiles need is refused", async () => {
    const small = createDatabase("small", JSON.stringify(file), async () => ({ ...picture, height: 2 }));
    await expect(small.picture(small.entries[2])).rejects.toMatchObject({
      code: "database",
      message: "small: the tile at (0, 2) lies outside one.png, which has 4x2 pixels",
    });
  });

  const damages: [string, object, string][] = [
    ["no size", { ...file, size: 0 }, "size and columns"],
    ["no entities", { ...file, entities: undefined }, "entities is not a list"],
    ["an entity with no name", { ...file, entities: [{ entity: "", group: "x", tags: [] }] }, "entity 0 is not"],
    ["tags that are numbers", { ...file, entities: [{ entity: "fox", group: "x", tags: [3] }] }, "entity 0 is not"],
    ["no sheets", { ...file, sheets: [] }, "sheets is not a list"],
    ["a sheet with no style", { ...file, sheets: [{ file: "one.png", family: "x", entities: [0] }] }, "sheet 0 is not"],
    ["a tile of nothing", { ...file, sheets: [{ ...file.sheets[0], entities: [0, 2] }] }, "one.png shows entity 2"],
  ];
  it.each(damages)("of a database with %s is refused", (_, damaged, message) => {
    expect(() => createDatabase("bad", JSON.stringify(damaged), async () => picture)).toThrow(
      expect.objectContaining({ code: "database", message: expect.stringContaining(message) }),
    );
  });

  it("of a database that is not JSON is refused", () => {
    expect(() => createDatabase("bad", "{", async () => picture)).toThrow("bad is not JSON");
    expect(() => createDatabase("bad", "null", async () => picture)).toThrow("not a JSON object");
  });
});

describe("a folder", () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), "reimagen-database-"));
  });
  afterAll(() => rm(home, { recursive: true }));

  it("with no index, or with a sheet missing, is refused", async () => {
    await expect(openDatabase(home)).rejects.toMatchObject({ code: "database" });
    await copyFile(join(folder, "database.json"), join(home, "database.json"));
    await expect(openDatabase(home)).rejects.toMatchObject({
      code: "database",
      message: expect.stringContaining("its sheet noto.webp is missing"),
    });
  });

  it("with a sheet elsewhere is refused", async () => {
    const sheets = [{ file: "../secret.png", style: "x", family: "x", entities: [] }];
    await writeFile(join(home, "database.json"), JSON.stringify({ size: 1, columns: 1, entities: [], sheets }));
    await expect(openDatabase(home)).rejects.toMatchObject({
      code: "database",
      message: expect.stringContaining('the sheet "../secret.png" is not a file name'),
    });
  });
});

describe("words", () => {
  it("fold plurals to their singular's form", () => {
    for (const [singular, plural] of [
      ["fox", "foxes"],
      ["horse", "horses"],
      ["cherry", "cherries"],
      ["cookie", "cookies"],
      ["octopus", "octopuses"],
      ["leaf", "leaves"],
      ["knife", "knives"],
      ["potato", "potatoes"],
      ["shoe", "shoes"],
      ["glass", "glasses"],
      ["church", "churches"],
      ["Piñata", "pinatas"],
    ]) {
      expect(foldedWords(plural)).toEqual(foldedWords(singular));
    }
    expect(foldedWords("T-Rex, o’clock!")).toEqual(["t", "rex", "o", "clock"]);
  });
});
