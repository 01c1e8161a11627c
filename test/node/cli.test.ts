// The command line on good input: pictures that say how they were made, and results for people and for programs.
import { copyFile, readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodePng } from "../../src/io/png.ts";
import { tinyModel, writeModel } from "../tiny-model.ts";
import { filesIn, newFolder, reimagen, remove } from "./command-line.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  await writeModel(join(folder, "tiny"), tinyModel());
});
afterAll(() => remove(folder));

const run = (...args: string[]) => reimagen(args, { folder });
const quick = ["--model", "tiny", "--steps", "2", "--adapter", "software"];
const read = async (file: string) => decodePng(file, await readFile(join(folder, file)));

describe("reimagen generate", () => {
  it("writes a picture that carries its history, and a contact sheet; and says nothing else", async () => {
    const { code, stdout, stderr } = await run("generate", "a banana on the beach", ...quick, "--seed", "7");
    expect(stderr).toBe("");
    expect(code).toBe(0);
    const names = ["out/a-banana-on-the-beach-7.png", "out/a-banana-on-the-beach-7.sheet.png"];
    expect(stdout).toBe(`${names.join("\n")}\n`);
    const { picture, text } = await read(names[0]!);
    expect([picture.width, picture.height]).toEqual([16, 16]);
    expect(text).toMatchObject({ prompt: "a banana on the beach", seed: "7", model: "tiny" });
    expect(text.Software).toMatch(/^reimagen \d/);
    expect(JSON.parse(text.settings!)).toMatchObject({
      sampler: "dpm-solver++",
      steps: 2,
      guidance: { eta: 0.5, gammaP: 3 },
    });
    const neighbors = JSON.parse(text.neighbors!);
    expect(neighbors).toHaveLength(2);
    expect(neighbors[0]).toMatchObject({ entity: "banana", caption: "banana emoji", heldOut: true });
    const sheet = await read(names[1]!);
    expect(sheet.picture.width).toBeGreaterThan(1000);
    expect(sheet.text.prompt).toBe("a banana on the beach");
  });

  it("draws the same bytes for the same seed, and others for another", async () => {
    const files = ["first.png", "second.png", "third.png"];
    for (const [i, file] of files.entries())
      await run("generate", "a moose", ...quick, "-o", file, "--seed", i < 2 ? "3" : "4");
    const [first, second, third] = await Promise.all(files.map((file) => readFile(join(folder, file))));
    expect(first!.equals(second!)).toBe(true);
    expect(first!.equals(third!)).toBe(false);
    const sheets = await Promise.all(files.map((f) => readFile(join(folder, f.replace(".png", ".sheet.png")))));
    expect(sheets[0]!.equals(sheets[1]!)).toBe(true);
  });

  it("takes neighbours by hand, of any size, draws several pictures, and reports to programs", async () => {
    const shipped = fileURLToPath(new URL("../../weights/emoji-64/samples.webp", import.meta.url));
    await copyFile(shipped, join(folder, "sample.webp"));
    const byHand = ["--neighbor", "sample.webp=a sheet of samples", "-k", "1"];
    const { code, stdout, stderr } = await run(
      "generate",
      "a moose",
      ...quick,
      ...byHand,
      "--pictures",
      "2",
      "-o",
      "new/m.png",
      "--json",
    );
    expect([code, stderr]).toEqual([0, ""]);
    const told = JSON.parse(stdout);
    expect(told).toMatchObject({ prompt: "a moose", model: "tiny", sheet: "new/m.sheet.png", warnings: [] });
    expect(told.pictures).toEqual([
      { file: "new/m-0.png", seed: 0 },
      { file: "new/m-1.png", seed: 1 },
    ]);
    expect(told.neighbors).toMatchObject([{ file: "sample.webp", caption: "a sheet of samples" }, { entity: "moose" }]);
    expect(told.settings.seed).toBe(0);
    expect(told.adapter).toMatch(/\w/);
    expect(told.seconds).toBeGreaterThan(0);
    expect((await read("new/m-0.png")).picture.pixels).not.toEqual((await read("new/m-1.png")).picture.pixels);
  });

  it("warns of a prompt that is too long, of letters that the model lacks, and of neighbours that there are not", async () => {
    const prompt = "a crème brûlée qqq with forty candles on it";
    const { code, stderr } = await run(
      "generate",
      prompt,
      ...quick,
      "-k",
      "8",
      "--no-sheet",
      "-o",
      "long.png",
      "--sampler",
      "ddpm",
    );
    expect(code).toBe(0);
    const warnings = stderr.trimEnd().split("\n");
    expect(warnings.every((line) => line.startsWith("reimagen: warning: "))).toBe(true);
    expect(stderr).toMatch(/the prompt is longer than the model's 23 tokens; left out: ".*it"/);
    expect(stderr).toMatch(/the prompt has words that the model does not know: crème, brûlée/);
    expect(await filesIn(folder)).not.toContain(join(folder, "long.sheet.png"));
  });

  it("stops on Ctrl-C with a code of its own, and leaves nothing behind", async () => {
    const before = await filesIn(folder);
    const { code, stderr, stdout } = await reimagen(["generate", "a moose", ...quick, "--steps", "1000000", "--json"], {
      folder,
      onStart: (id) => setTimeout(() => process.kill(id, "SIGINT"), 5000),
    });
    expect(stderr).toMatch(/^reimagen: .*aborted.*\n$/);
    expect(code).toBe(130);
    expect(JSON.parse(stdout).error.code).toBe("aborted");
    expect(await filesIn(folder)).toEqual(before);
  });
});

describe("the other commands", () => {
  it("neighbors lists what a prompt finds, leaves out what it is told to, and draws them", async () => {
    const { stdout } = await run("neighbors", "a", "moose", "in the snow", "-k", "3", "--sheet", "moose.png");
    const lines = stdout.trimEnd().split("\n");
    expect(lines).toHaveLength(4);
    expect(lines[0]).toMatch(/rank +score +id +entity +style +training/);
    for (const line of lines.slice(1)) expect(line).toMatch(/moose +\S+ +held out$/);
    expect((await read("moose.png")).picture.height).toBeGreaterThan(128);
    const id = lines[1]!.trim().split(/ +/)[2]!;
    const { neighbors } = JSON.parse((await run("neighbors", "a moose", "-k", "3", "--exclude", id, "--json")).stdout);
    expect(neighbors.map(({ rank }: { rank: number }) => rank)).toEqual([1, 2, 3]);
    expect(neighbors.map((neighbor: { id: number }) => String(neighbor.id))).not.toContain(id);
  });

  it("info says for every fast path whether it is on, and why not", async () => {
    const told = JSON.parse((await run("info", "--adapter", "software", "--json")).stdout);
    expect(told.versions.node).toBe(process.versions.node);
    expect(told.adapter.name).toMatch(/SwiftShader/);
    expect(told.limits.maxBufferSize).toBeGreaterThan(2 ** 20);
    const names = ["real GPU", "f16 arithmetic", "subgroups", "subgroup matrices", "timestamps"];
    expect(told.fastPaths.map(({ name }: { name: string }) => name)).toEqual(names);
    expect(told.fastPaths[0]).toMatchObject({
      on: false,
      why: expect.stringMatching(/software adapter was asked for/),
    });
    const { stdout } = await run("info", "--adapter", "software");
    for (const name of names) expect(stdout).toMatch(new RegExp(`${name} +(on|off) +\\S`));
  });

  it("explain shows the dispatches of a step without drawing", async () => {
    const args = ["explain", "--model", "tiny", "--adapter", "software"];
    const { stdout, code } = await run(...args, "--svg", "plan.svg");
    expect(code).toBe(0);
    expect(stdout).toMatch(/conv2d/);
    expect(await readFile(join(folder, "plan.svg"), "utf8")).toMatch(/^<svg[\s\S]*<\/svg>\s*$/);
    const told = JSON.parse((await run(...args, "--stage", "step", "--json")).stdout);
    expect(told.dispatches.length).toBeGreaterThan(10);
    for (const { stage, op, kernel, reason } of told.dispatches) {
      expect(stage).toBe("step");
      expect([op, kernel, reason]).toEqual([expect.any(String), expect.any(String), expect.any(String)]);
    }
    expect(told.memory.lowerBoundBytes).toBeGreaterThan(0);
  });

  it("tune measures kernels once, and explain and generate then go by it", async () => {
    const common = ["-k", "0", "--model", "tiny", "--adapter", "software", "--tuning", "measured"];
    const tune = async (...more: string[]) => JSON.parse((await run("tune", ...common, "--json", ...more)).stdout);
    const first = await tune();
    const kinds = Object.keys(first.found);
    expect([first.known, kinds.length > 10]).toEqual([0, true]);
    expect(await tune()).toMatchObject({ known: kinds.length, found: {} });
    expect(Object.keys((await tune("--retune")).found)).toEqual(kinds);
    const { stdout } = await run("explain", ...common);
    expect(stdout).toMatch(/measured: [\d.e-]+ ms/);
    const { code } = await run("generate", "a moose", ...common, "--steps", "2", "-o", "tuned.png");
    expect(code).toBe(0);
    expect((await run("explain", "--model", "tiny", "--adapter", "software")).stdout).not.toMatch(/measured/);
  });

  it("help says what exit codes mean", async () => {
    for (const args of [["--help"], ["generate", "--help"]]) {
      const { code, stdout } = await run(...args);
      expect(code).toBe(0);
      expect(stdout).toMatch(/Exit codes:[\s\S]*130 +aborted/);
    }
  });
});
