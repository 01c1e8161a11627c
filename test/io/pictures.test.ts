// Pictures: PNG there and back with its text, files of other kinds, crops and white grounds, and safe writing.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { crop, onWhite, type Picture } from "../../src/io/picture.ts";
import { decodePng, encodePng } from "../../src/io/png.ts";
import { writeFileAtomically } from "../../src/node/files.ts";
import { readPicture } from "../../src/node/pictures.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "reimagen-pictures-"));
});
afterAll(() => rm(folder, { recursive: true }));

function gradient(width: number, height: number, alpha: (pixel: number) => number): Picture {
  const pixels = new Uint8ClampedArray(width * height * 4);
  for (let i = 0; i < width * height; i++) pixels.set([(i * 7) % 256, (i * 13) % 256, (i * 31) % 256, alpha(i)], i * 4);
  return { width, height, pixels };
}
const opaque = gradient(33, 17, () => 255);
const clear = gradient(33, 17, (i) => i % 256);

describe("a PNG file", () => {
  it.each([
    ["RGB", opaque, 3],
    ["RGBA", clear, 4],
  ])("of %s comes back to the pixel, from us and from sharp", async (_, picture, channels) => {
    const file = encodePng(picture);
    expect(decodePng("ours.png", file).picture).toEqual(picture);
    const { data, info } = await sharp(file).raw().toBuffer({ resolveWithObject: true });
    expect(info.channels).toBe(channels);
    expect(onWhite({ ...picture, pixels: await sharp(data, { raw: info }).ensureAlpha().raw().toBuffer() })).toEqual(
      onWhite(picture),
    );
    const theirs = await sharp(picture.pixels, { raw: { width: 33, height: 17, channels: 4 } })
      .png()
      .toBuffer();
    expect(decodePng("theirs.png", theirs).picture).toEqual(picture);
  });

  it("carries text of any language, which other readers find too", async () => {
    const text = { prompt: "a sloth, “am Strand” 🦥\nzwei", Seed: "7", Title: "Bär\u00a0½", Empty: "", Odd: "\u0080" };
    const file = encodePng(opaque, text);
    expect(decodePng("text.png", file)).toEqual({ picture: opaque, text });
    const { comments = [] } = await sharp(file).metadata();
    expect(Object.fromEntries(comments.map((comment) => [comment.keyword, comment.text]))).toMatchObject({
      prompt: text.prompt,
      Seed: "7",
    });
  });

  it("is not written with a keyword or pixels that cannot be", () => {
    for (const keyword of ["", "x".repeat(80), " lead", "ключ", "a\nb"]) {
      expect(() => encodePng(opaque, { [keyword]: "" })).toThrow(expect.objectContaining({ code: "argument" }));
    }
    expect(() => encodePng({ ...opaque, width: 32 })).toThrow("a picture of 32x17 cannot have 2244 bytes of pixels");
    expect(() => encodePng({ width: 0, height: 0, pixels: new Uint8Array(0) })).toThrow("0x0");
  });

  it("that is damaged, cut or of another kind is refused by name", async () => {
    const file = encodePng(clear, { prompt: "a sloth" });
    const refused = (bytes: Uint8Array, message: string | RegExp) =>
      expect(() => decodePng("bad.png", bytes)).toThrow(
        expect.objectContaining({ code: "picture", message: expect.stringMatching(message) }),
      );
    refused(new Uint8Array(0), "bad.png is not a PNG file");
    refused(await sharp(file).jpeg().toBuffer(), "bad.png is not a PNG file");
    for (const length of [8, 20, 60, file.length - 1]) refused(file.subarray(0, length), "truncated");
    for (const at of [17, 60, file.length - 30]) refused(file.with(at, file[at] ^ 1), "damaged|truncated|was expected");
    refused(await sharp(file).png({ palette: true }).toBuffer(), "8-bit pixels of colour type 3");
    refused(await sharp(file).toColourspace("rgb16").png().toBuffer(), "16-bit pixels");
  });

  it("whose pixels are fewer than it says is refused", () => {
    const small = encodePng(gradient(8, 8, () => 255));
    const large = encodePng(gradient(8, 16, () => 255));
    const headerEnd = 8 + 25;
    const mixed = Uint8Array.of(...large.subarray(0, headerEnd), ...small.subarray(headerEnd));
    expect(() => decodePng("short.png", mixed)).toThrow("short.png: the PNG file is damaged");
  });
});

describe("a picture for a model", () => {
  it("lies on white, in [-1, 1]", () => {
    const pixels = Uint8Array.of(0, 255, 51, 255, 0, 0, 0, 0, 255, 0, 0, 51);
    const values = onWhite({ width: 3, height: 1, pixels });
    const expected = [-1, 1, 51 / 127.5 - 1, 1, 1, 1, 1, 0.6, 0.6];
    values.forEach((value, i) => {
      expect(value).toBeCloseTo(expected[i], 6);
    });
  });

  it("is cropped to the pixel, and only within itself", () => {
    const { width, height, pixels } = crop(clear, 30, 5, 3, 2);
    expect([width, height]).toEqual([3, 2]);
    expect(pixels.subarray(12)).toEqual(clear.pixels.subarray((6 * 33 + 30) * 4, (6 * 33 + 33) * 4));
    for (const [x, y, w, h] of [
      [31, 5, 3, 2],
      [0, 16, 1, 2],
      [-1, 0, 2, 2],
      [0, 0, 0, 1],
      [0.5, 0, 1, 1],
    ]) {
      expect(() => crop(clear, x, y, w, h)).toThrow(`a crop of ${w}x${h} at (${x}, ${y}) lies outside`);
    }
  });
});

describe("a picture file in Node", () => {
  const solid = (color: string, width = 40, height = 20) =>
    sharp({ create: { width, height, channels: 3, background: color } });

  it.each(["png", "jpeg", "webp", "avif", "tiff", "gif"] as const)("of %s is read as RGBA", async (format) => {
    const path = join(folder, `red.${format}`);
    await solid("#d01020").toFormat(format).toFile(path);
    const { width, height, pixels } = await readPicture(path);
    expect([width, height, pixels.length]).toEqual([40, 20, 3200]);
    [0xd0, 0x10, 0x20, 0xff].forEach((value, i) => {
      expect(Math.abs(pixels[i] - value)).toBeLessThanOrEqual(4);
    });
  });

  it("of grey, of 16 bits or turned is read as what it looks like", async () => {
    const grey = join(folder, "grey.png");
    await solid("#808080").toColourspace("b-w").png().toFile(grey);
    expect([...(await readPicture(grey)).pixels.subarray(0, 4)]).toEqual([128, 128, 128, 255]);
    const deep = join(folder, "deep.png");
    await solid("#ff8000").toColourspace("rgb16").png().toFile(deep);
    expect([...(await readPicture(deep)).pixels.subarray(0, 4)]).toEqual([255, 128, 0, 255]);
    const turned = join(folder, "turned.jpg");
    await solid("#ffffff").withMetadata({ orientation: 6 }).jpeg().toFile(turned);
    expect(await readPicture(turned)).toMatchObject({ width: 20, height: 40 });
  });

  it("is fitted into a square, clear where it does not reach", async () => {
    const path = join(folder, "wide.png");
    await solid("#ff0000").png().toFile(path);
    const { width, height, pixels } = await readPicture(path, 16);
    expect([width, height]).toEqual([16, 16]);
    expect(pixels[3]).toBe(0);
    expect([...pixels.subarray((8 * 16 + 8) * 4, (8 * 16 + 9) * 4)]).toEqual([255, 0, 0, 255]);
  });

  it("that is missing, a folder or no picture is refused by name", async () => {
    const text = join(folder, "text.png");
    await writeFile(text, "not a picture");
    const cut = join(folder, "cut.png");
    await writeFile(cut, encodePng(gradient(64, 64, (i) => i % 200)).subarray(0, 900));
    const missing = join(folder, "missing.png");
    const refused = (path: string, message: string) =>
      expect(readPicture(path)).rejects.toMatchObject({ code: "picture", message: expect.stringContaining(message) });
    await refused(missing, `${missing} cannot be read: there is no such file`);
    await refused(folder, "it is a folder");
    await refused(text, `${text} is not a picture that can be decoded`);
    await refused(cut, `${cut} is not a picture that can be decoded`);
  });
});

describe("writing a file", () => {
  it("replaces what was there, leaving nothing beside it", async () => {
    const home = join(folder, "out");
    await mkdir(home);
    const path = join(home, "picture.png");
    await writeFileAtomically(path, Uint8Array.of(1, 2, 3));
    await writeFileAtomically(path, encodePng(opaque));
    expect(await readPicture(path)).toEqual(opaque);
    expect(await readdir(home)).toEqual(["picture.png"]);
  });

  it("that cannot be says why, and leaves nothing behind", async () => {
    const home = join(folder, "full");
    await mkdir(join(home, "taken.png"), { recursive: true });
    await writeFile(join(home, "file"), "kept");
    const refused = (path: string, message: string) =>
      expect(writeFileAtomically(path, Uint8Array.of(1))).rejects.toMatchObject({
        code: "output",
        message: `${path} cannot be written: ${message}`,
      });
    await refused(join(home, "taken.png"), "a folder of that name is in the way");
    await refused(join(home, "no", "x.png"), `the folder ${join(home, "no")} does not exist`);
    await refused(join(home, "file", "x.png"), `${join(home, "file")} is not a folder`);
    expect(await readFile(join(home, "file"), "utf8")).toBe("kept");
    expect((await readdir(home)).sort()).toEqual(["file", "taken.png"]);
  });

  it.skipIf(process.platform !== "linux")("where nobody may says so", async () => {
    await expect(writeFileAtomically("/sys/x.png", Uint8Array.of(1))).rejects.toMatchObject({
      code: "output",
      message: "/sys/x.png cannot be written: there is no permission to write in /sys",
    });
  });
});
