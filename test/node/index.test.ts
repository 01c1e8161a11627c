// `reimagen index`: the user's own folder becomes a database that `neighbors` searches and `generate` draws from.
import { copyFile, mkdir, readdir, readFile, rm, stat, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openDatabase } from "../../src/node/emoji-database.ts";
import { shippedDatabase } from "../../src/node/shipped.ts";
import type { NeighborDatabase } from "../../src/retrieval/database.ts";
import { tinyModel, writeModel } from "../tiny-model.ts";
import { filesIn, newFolder, reimagen, remove } from "./command-line.ts";

let folder: string;
let shipped: NeighborDatabase;
const run = (...args: string[]) => reimagen(args, { folder });
const index = (...args: string[]) => run("index", ...args, "--adapter", "software");
const at = (...names: string[]) => join(folder, ...names);

/** One of the shipped pictures, as a camera or an artist might have saved it. */
async function save(file: string, entity: string, side: number): Promise<void> {
  const entry = shipped.entries.find((one) => one.entity === entity)!;
  const { width, height, pixels } = await shipped.picture(entry);
  const picture = sharp(pixels, { raw: { width, height, channels: 4 } }).resize(side, side);
  await mkdir(join(at("zoo", file), ".."), { recursive: true });
  await (/jpe?g$/i.test(file) ? picture.flatten({ background: "#fff" }) : picture).toFile(at("zoo", file));
}

/** Twenty pictures: a folder of animals, one of food, some loose. */
const pictures: readonly (readonly [file: string, entity: string, side: number])[] = [
  ["animals/moose.png", "moose", 300],
  ["animals/moose_2.jpg", "moose", 128],
  ["animals/red-panda.webp", "panda", 90],
  ["animals/IMG_0001.png", "sloth", 64],
  ["animals/0042.png", "otter", 64],
  ["animals/big cats/tiger.png", "tiger", 64],
  ["animals/big cats/lion.JPG", "lion", 200],
  ["food/pizza.png", "pizza", 64],
  ["food/taco.png", "taco", 64],
  ["food/pretzel.webp", "pretzel", 64],
  ["food/pineapple.png", "pineapple", 64],
  ["food/banana.png", "banana", 64],
  ["rocket.png", "rocket", 64],
  ["anchor.png", "anchor", 64],
  ["guitar.jpeg", "guitar", 64],
  ["teapot (3).png", "teapot", 64],
  ["cactus.png", "cactus", 64],
  ["bicycle.png", "bicycle", 64],
  ["umbrella.png", "umbrella", 64],
  ["violin.png", "violin", 64],
];

beforeAll(async () => {
  folder = await newFolder();
  shipped = await openDatabase(shippedDatabase);
  await writeModel(at("tiny"), tinyModel());
  for (const picture of pictures) await save(...picture);
  await writeFile(at("zoo/animals/IMG_0001.txt"), "a sloth called Flash\ntags: slow, rainforest\n");
  await writeFile(
    at("zoo/captions.csv"),
    'file,caption,tags\nviolin.png,"Grandmother\'s ""Stradivari"", 1890",fiddle; strings\n',
  );
});
afterAll(() => remove(folder));

describe("a folder of twenty pictures", () => {
  it("becomes a database with captions by CSV, by text, and by names", async () => {
    const { code, stdout, stderr } = await index("zoo", "--json");
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout)).toEqual({
      database: "zoo-db",
      pictures: 20,
      entities: 19,
      added: 20,
      changed: 0,
      kept: 0,
      removed: 0,
      warnings: [],
    });
    const database = await openDatabase(at("zoo-db"));
    const by = new Map(database.entries.map((entry) => [entry.caption, entry]));
    expect(by.get("moose")).toMatchObject({ entity: "moose", group: "animals", tags: ["animals"], style: "zoo" });
    expect(by.get("a sloth called Flash")).toMatchObject({
      entity: "sloth called Flash",
      tags: ["animals", "slow", "rainforest"],
    });
    expect(by.get('Grandmother\'s "Stradivari", 1890')).toMatchObject({ group: "zoo", tags: ["fiddle", "strings"] });
    // A name without letters says less than the folder's.
    for (const caption of ["animals", "red panda", "teapot", "lion"]) expect(by.has(caption), caption).toBe(true);
    expect(by.get("tiger")!.tags).toEqual(["animals", "big cats"]);
  });

  it("keeps the pictures: shrunk to tiles, clear where they were", async () => {
    const database = await openDatabase(at("zoo-db"));
    for (const entity of ["tiger", "lion"]) {
      const original = await shipped.picture(shipped.entries.find((entry) => entry.entity === entity)!);
      const tile = await database.picture(database.entries.find((entry) => entry.entity === entity)!);
      expect([tile.width, tile.height]).toEqual([64, 64]);
      let error = 0;
      for (let i = 0; i < 64 * 64; i++) {
        const alpha = original.pixels[i * 4 + 3]! / 255;
        // A JPEG has no alpha: it lies on white.
        const ground = entity === "lion" ? 255 * (1 - alpha) : 0;
        for (let c = 0; c < 3; c++)
          error += Math.abs(
            original.pixels[i * 4 + c]! * alpha + ground - (tile.pixels[i * 4 + c]! * tile.pixels[i * 4 + 3]!) / 255,
          );
      }
      expect(error / (64 * 64 * 3), entity).toBeLessThan(entity === "lion" ? 8 : 0.01);
    }
  });

  it("is searched and drawn from", async () => {
    const found = await run("neighbors", "a fiddle on the beach", "--database", "zoo-db", "-k", "1", "--json");
    expect(JSON.parse(found.stdout).neighbors).toMatchObject([{ caption: 'Grandmother\'s "Stradivari", 1890' }]);
    const quick = ["--model", "tiny", "--steps", "2", "--adapter", "software", "--no-sheet", "-o", "m.png", "--json"];
    const { code, stdout, stderr } = await run("generate", "a moose in the snow", ...quick, "--database", "zoo-db");
    expect([code, stderr]).toEqual([0, ""]);
    expect(JSON.parse(stdout).neighbors).toMatchObject([{ caption: "moose" }, { caption: "moose" }]);
    expect((await stat(at("m.png"))).size).toBeGreaterThan(100);
  });

  it("is brought up to date by reading what changed, and is then what a fresh index would be", async () => {
    await rm(at("zoo/rocket.png"));
    await save("animals/badger.png", "badger", 64);
    await save("taxi.png", "taxi", 64);
    await save("anchor.png", "ship", 64);
    // Touched, but the same.
    await utimes(at("zoo/cactus.png"), new Date(), new Date());
    const again = JSON.parse((await index("zoo", "--json")).stdout);
    expect(again).toMatchObject({ pictures: 21, added: 2, changed: 1, kept: 18, removed: 1 });
    const fresh = await index("zoo", "-o", "fresh", "--json");
    expect(JSON.parse(fresh.stdout)).toMatchObject({ pictures: 21, added: 21 });
    const names = (await readdir(at("fresh"))).sort();
    expect((await readdir(at("zoo-db"))).sort()).toEqual(names);
    for (const name of names.filter((name) => name !== "index.json"))
      expect((await readFile(at("zoo-db", name))).equals(await readFile(at("fresh", name))), name).toBe(true);
    const before = await stat(at("zoo-db", names.find((name) => name.endsWith(".webp"))!));
    expect(JSON.parse((await index("zoo", "--json")).stdout)).toMatchObject({ kept: 21, added: 0, changed: 0 });
    expect((await stat(at("zoo-db", names.find((name) => name.endsWith(".webp"))!))).mtimeMs).toBe(before.mtimeMs);
  });

  it("is searched by what a prompt means, with vectors that an unchanged picture keeps", async () => {
    const found = await run(
      "neighbors",
      "a tiger on the moon",
      "--database",
      "zoo-db",
      "--retriever",
      "learned",
      "--adapter",
      "software",
      "-k",
      "3",
      "--json",
    );
    expect([found.code, found.stderr]).toEqual([0, ""]);
    const told = JSON.parse(found.stdout).neighbors;
    expect(told).toHaveLength(3);
    expect(told[0]).toMatchObject({ entity: "tiger" });
    for (const { score } of told) expect(Math.abs(score)).toBeLessThanOrEqual(1 + 1e-6);
    await index("zoo", "-o", "plain", "--no-embeddings");
    const refused = await run(
      "neighbors",
      "a tiger",
      "--database",
      "plain",
      "--retriever",
      "learned",
      "--adapter",
      "software",
    );
    expect([refused.code, refused.stdout]).toEqual([3, ""]);
    expect(refused.stderr).toBe("reimagen: plain has no embeddings for learned retrieval: index its pictures again\n");
  });

  it("leaves bad files out by name, or refuses them all and leaves the database as it was", async () => {
    await writeFile(at("zoo/broken.png"), "not a picture");
    await copyFile(at("zoo/captions.csv"), at("kept.csv"));
    await writeFile(at("zoo/captions.csv"), `${await readFile(at("kept.csv"), "utf8")}unicorn.png,a unicorn,\n`);
    const before = await readFile(at("zoo-db/database.json"), "utf8");
    const strict = await index("zoo", "--strict");
    expect(strict.code).toBe(3);
    await index("zoo", "--strict", "-o", "never");
    await expect(stat(at("never"))).rejects.toThrow("ENOENT");
    expect(strict.stderr).toMatch(/^reimagen: .*captions\.csv names unicorn\.png, which is not a picture there\n$/);
    expect(await readFile(at("zoo-db/database.json"), "utf8")).toBe(before);
    const { code, stdout, stderr } = await index("zoo");
    expect([code, stdout]).toEqual([0, "zoo-db\n"]);
    expect(stderr.split("\n").slice(0, -1)).toEqual([
      expect.stringMatching(/left out: .*unicorn\.png/),
      expect.stringMatching(/left out: .*broken\.png is not a picture that can be decoded/),
    ]);
    await rm(at("zoo/broken.png"));
    await copyFile(at("kept.csv"), at("zoo/captions.csv"));
    for (const file of await filesIn(folder)) expect(file).not.toMatch(/\.tmp$/);
  });

  it("takes tiles of another size, and more than one sheet holds", async () => {
    const { stdout } = await index("zoo", "-o", "large", "--size", "512", "--json");
    expect(JSON.parse(stdout)).toMatchObject({ pictures: 21 });
    const database = await openDatabase(at("large"));
    expect(database.sheets.length).toBe(2);
    const moose = database.entries.find(({ entity }) => entity === "moose")!;
    expect((await database.picture(moose)).width).toBe(512);
  });
});

describe("what cannot be indexed", () => {
  it.each([
    [["index", "nowhere"], 3, /nowhere cannot be read: there is no such folder/],
    [["index", "tiny"], 3, /tiny has no picture to index/],
    [["index", "zoo", "-o", "zoo"], 2, /cannot lie in zoo itself/],
    [["index", "zoo", "-o", "tiny"], 4, /tiny cannot be written: it holds other files/],
    [["index", "zoo", "-o", shippedDatabase], 4, /emoji-db cannot be written: .* no index\.json of an earlier index/],
    [["index", "zoo", "--size", "8"], 2, /16 to 1024 pixels/],
    [["index", "quoted"], 3, /captions\.csv, line 2: a quote is not closed/],
    [["index", "headless"], 3, /the first line must name the columns file and caption/],
  ])("reimagen %j is refused in a sentence", async (args, code, sentence) => {
    await mkdir(at("quoted"), { recursive: true });
    await mkdir(at("headless"), { recursive: true });
    for (const name of ["quoted", "headless"]) await copyFile(at("zoo/taxi.png"), at(name, "taxi.png"));
    await writeFile(at("quoted/captions.csv"), 'file,caption\ntaxi.png,"a "yellow" taxi"\n');
    await writeFile(at("headless/captions.csv"), "taxi.png,a taxi\n");
    const ended = await run(...args);
    expect(ended.stderr).toMatch(sentence);
    expect(ended.code).toBe(code);
    expect(ended.stderr.trim().split("\n")).toHaveLength(1);
  });
});
