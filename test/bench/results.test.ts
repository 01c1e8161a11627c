// Findings on disk: a family's new ones replace its old ones, others stay, and what is not understood is not overwritten.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Report } from "../../bench/lab/report.ts";
import { keep, readReports } from "../../bench/results.ts";
import { newFolder, remove } from "../node/command-line.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
});
afterAll(() => remove(folder));

const machine = {
  adapter: "An Adapter",
  slug: "an-adapter",
  drivers: [],
  processor: "one",
  cores: 2,
  versions: {},
  date: "",
};

function report(family: string, milliseconds: number): Report {
  const tables = [{ columns: ["what", "ms"], rows: [["step", milliseconds]] }];
  return { family, title: family, machine, busy: 0, tables, notes: [], measurements: [] };
}

it("keeps a family's latest findings beside those of others", async () => {
  const known = ["ops", "step"];
  await keep(folder, [report("step", 7)], [], known);
  await keep(folder, [report("ops", 8)], [], known);
  await keep(folder, [report("step", 9)], [], known);
  const reports = await readReports(join(folder, "an-adapter.json"));
  expect(Object.keys(reports)).toEqual(["ops", "step"]);
  expect(reports.step!.tables[0]!.rows).toEqual([["step", 9]]);
  const text = await readFile(join(folder, "an-adapter.md"), "utf8");
  expect(text).toMatch(/^# An Adapter\n[\s\S]*\| +8 \|[\s\S]*\| +9 \|/);
  expect(text).not.toMatch(/\| +7 \|/);
});

it.each([
  ["of an earlier form", '{"step":{"bench":"step","table":{}}}', /under step is not a report of that family/],
  ["that is damaged", '{"step":', /JSON/],
])("leaves a file %s as it is, and says so", async (_, text, sentence) => {
  const path = join(folder, "an-adapter.json");
  await writeFile(path, text);
  await expect(keep(folder, [report("step", 1)], [], ["step"])).rejects.toThrow(sentence);
  expect(await readFile(path, "utf8")).toBe(text);
});
