// The command line on bad input: an exit code, one clear sentence, and no file left behind.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeSafetensors } from "../../src/io/safetensors.ts";
import { type TinyModel, tinyModel, writeModel } from "../tiny-model.ts";
import { filesIn, newFolder, reimagen, remove } from "./command-line.ts";

let folder: string;
beforeAll(async () => {
  folder = await newFolder();
  await writeModel(join(folder, "tiny"), tinyModel());
});
afterAll(() => remove(folder));

const quick = ["--model", "tiny", "--steps", "1", "--adapter", "software"];

/** Runs, and expects this exit code, this sentence alone on stderr, nothing on stdout, and no new file. */
async function expectFailure(args: string[], code: number, sentence: RegExp, env = {}): Promise<void> {
  const before = await filesIn(folder);
  const ended = await reimagen(args, { folder, env });
  expect(ended.stderr).toMatch(/^reimagen: [^\n]+\n$/);
  expect(ended.stderr).toMatch(sentence);
  expect(ended.stdout).toBe("");
  expect(ended.code).toBe(code);
  expect(await filesIn(folder)).toEqual(before);
}

const generate = (...args: string[]) => [
  "generate",
  ...args,
  ...quick.filter((_, i) => !args.includes(quick[i & ~1]!)),
];

describe("wrong arguments", () => {
  it.each([
    ["an empty prompt without neighbours", generate("  "), /nothing to draw/],
    ["no steps", generate("x", "--steps", "0"), /--steps .*whole number of at least 1/],
    ["eta outside [0, 1]", generate("x", "--eta", "1.5"), /eta must be in \[0, 1\], got 1.5/],
    ["a weight that is no number", generate("x", "--gamma-p", "much"), /--gamma-p .*must be a number/],
    ["an unknown sampler", generate("x", "--sampler", "euler"), /--sampler .*Allowed choices are ddpm, ddim/],
    [
      "an unknown option, with what was meant",
      generate("x", "--sed", "1"),
      /unknown option '--sed' \(Did you mean --seed\?\)/,
    ],
    ["an unknown command", ["draw", "x"], /unknown command 'draw'/],
    ["more than 8 neighbours", generate("x", "-k", "9"), /at most 8 neighbours are possible, got 9/],
    ["more neighbours than the database has", ["neighbors", "x", "-k", "99999"], /0 to 8216 neighbours, and 99999/],
    ["an id that the database has not", ["neighbors", "x", "--exclude", "8216"], /no neighbour 8216 .*ids 0 to 8215/],
    ["a neighbour without a caption", generate("x", "--neighbor", "moose.png"), /must be picture=caption/],
    ["an output that is no PNG", generate("x", "-o", "x.jpg"), /must be a file name that ends in \.png, got "x\.jpg"/],
  ])("%s", (_, args, sentence) => expectFailure(args, 2, sentence));

  it("are told to programs as an object", async () => {
    const { code, stdout } = await reimagen(generate("", "--json"), { folder });
    expect(code).toBe(2);
    expect(JSON.parse(stdout)).toEqual({
      error: { code: "prompt", message: expect.stringMatching(/nothing to draw/) },
    });
  });
});

describe("bad pictures and databases", () => {
  it("a picture that is missing", () =>
    expectFailure(
      generate("x", "--neighbor", "none.png=a moose"),
      3,
      /none\.png cannot be read: there is no such file/,
    ));

  it("a picture that is damaged", async () => {
    await writeFile(join(folder, "bad.png"), "not a picture");
    await expectFailure(
      generate("x", "--neighbor", "bad.png=a moose"),
      3,
      /bad\.png is not a picture that can be decoded/,
    );
  });

  it("a database that is none", () =>
    expectFailure(generate("x", "--database", "tiny"), 3, /tiny is not a neighbour database/));
});

describe("bad checkpoints", () => {
  const broken = async (name: string, change: (model: TinyModel) => Uint8Array | undefined) => {
    const model = tinyModel();
    await writeModel(join(folder, name), model, change(model));
    return generate("x", "--model", name);
  };
  const find = ({ tensors }: TinyModel, name: string) => tensors.findIndex((tensor) => tensor.name === name);

  it("missing altogether", () =>
    expectFailure(generate("x", "--model", "none"), 3, /none\/config\.json cannot be read/));

  it("truncated", async () => {
    const args = await broken("truncated", ({ tensors }) => writeSafetensors(tensors).slice(0, -1000));
    await expectFailure(args, 3, /truncated\/model\.safetensors: tensor ".*" ends at byte .* truncated or damaged/);
  });

  it("lying about offsets", async () => {
    const args = await broken("lying", ({ tensors }) => {
      const file = writeSafetensors(tensors);
      const length = Number(new DataView(file.buffer).getBigUint64(0, true));
      const header = new TextDecoder().decode(file.subarray(8, 8 + length));
      const [, end] = /"data_offsets":\[0,(\d+)\]/.exec(header)!;
      const lie = String(Number(end) - 4).padStart(end!.length, " ");
      file.set(new TextEncoder().encode(header.replace(`[0,${end}]`, `[0,${lie}]`)), 8);
      return file;
    });
    await expectFailure(args, 3, /lying\/model\.safetensors: tensor ".*" .* takes \d+ bytes, and \d+ are there/);
  });

  it("of a wrong dtype", async () => {
    const args = await broken("integers", (model) => {
      const at = find(model, "stem.bias");
      model.tensors[at] = { ...model.tensors[at]!, dtype: "I32" };
      return undefined;
    });
    await expectFailure(args, 3, /tensor stem\.bias should be F32, F16 or BF16, got I32/);
  });

  it("without one of its tensors", async () => {
    const args = await broken("hole", (model) => {
      model.tensors.splice(find(model, "stem.weight"), 1);
      return undefined;
    });
    await expectFailure(args, 3, /has no tensor stem\.weight \[16, ?12, ?3, ?3\]/);
  });

  it("with a misshapen tensor", async () => {
    const args = await broken("misshapen", (model) => {
      const at = find(model, "stem.weight");
      model.tensors[at] = { ...model.tensors[at]!, shape: [12, 16, 3, 3] };
      return undefined;
    });
    await expectFailure(
      args,
      3,
      /tensor stem\.weight should be \[16, ?12, ?3, ?3\] by the config, got \[12, ?16, ?3, ?3\]/,
    );
  });

  it("whose config contradicts its weights", async () => {
    const args = await broken("wider", (model) => {
      model.config = { ...model.config, text_ff: 32 };
      return undefined;
    });
    await expectFailure(args, 3, /tensor text\.layers\.0\.\S+ should be .* by the config/);
  });

  it("whose config is not one", async () => {
    const args = await broken("odd", (model) => {
      model.config = { ...model.config, head_dim: -1 };
      return undefined;
    });
    await expectFailure(args, 3, /odd\/config\.json: head_dim must be a positive integer, got -1/);
  });

  it("with NaN in its weights", async () => {
    const args = await broken("nan", (model) => {
      const { bytes } = model.tensors[find(model, "stem.weight")]!;
      new DataView(bytes.buffer).setFloat32(8, Number.NaN, true);
      return undefined;
    });
    await expectFailure(args, 6, /tensor stem\.weight has NaN at element 2/);
  });
});

describe("where nothing can be written or run", () => {
  it("a folder that is a file", async () => {
    await writeFile(join(folder, "file"), "here");
    await expectFailure(generate("x", "-o", "file/x.png"), 4, /file\/x\.png cannot be written: .*file is not a folder/);
    expect(await readFile(join(folder, "file"), "utf8")).toBe("here");
  });

  it("a name that a folder has", async () => {
    await mkdir(join(folder, "taken.sheet.png"));
    await expectFailure(
      generate("x", "-o", "taken.png"),
      4,
      /taken\.sheet\.png cannot be written: a folder of that name/,
    );
  });

  // Dawn itself complains of the missing driver before us.
  it("a machine without a GPU, where only one will do", async () => {
    const env = { VK_DRIVER_FILES: "/nonexistent.json" };
    const { code, stderr } = await reimagen(generate("x", "--adapter", "gpu"), { folder, env });
    expect(stderr).toMatch(/^reimagen: no GPU adapter was found[^\n]*\n$/m);
    expect(code).toBe(5);
  });
});
