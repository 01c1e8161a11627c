// Checkpoints: the shipped one is read, a written one comes back, and each kind of damage is named.
import { describe, expect, it } from "vitest";
import { float16ToFloat32, float32ToFloat16 } from "../../src/io/float16.ts";
import { openSafetensors, type TensorBytes, toFloat32, writeSafetensors } from "../../src/io/safetensors.ts";
import { type ByteSource, bytesSource } from "../../src/io/source.ts";
import { openFileSource } from "../../src/node/file-source.ts";

const shipped = new URL("../../weights/emoji-64/model.safetensors", import.meta.url).pathname;
const golden = new URL("../fixtures/emoji-64.golden.safetensors", import.meta.url).pathname;

function fileOf(header: string | Uint8Array, dataLength: number, headerLength?: bigint): ByteSource {
  const json = typeof header === "string" ? new TextEncoder().encode(header) : header;
  const bytes = new Uint8Array(8 + json.length + dataLength);
  new DataView(bytes.buffer).setBigUint64(0, headerLength ?? BigInt(json.length), true);
  bytes.set(json, 8);
  return bytesSource("damaged.safetensors", bytes);
}

function tensor(dtype: unknown, shape: unknown, begin: unknown, end: unknown): unknown {
  return { dtype, shape, data_offsets: [begin, end] };
}

describe("the shipped checkpoint", () => {
  it("opens by its header alone, and gives single tensors", async () => {
    const file = await openFileSource(shipped);
    const reads: number[] = [];
    const watched: ByteSource = {
      name: file.name,
      size: file.size,
      read: (offset, length, signal) => {
        reads.push(length);
        return file.read(offset, length, signal);
      },
    };
    const checkpoint = await openSafetensors(watched);
    expect(reads).toEqual([8, 22552]);
    expect(checkpoint.tensors.size).toBe(251);
    expect(checkpoint.metadata).toEqual({ format: "pt" });
    expect(checkpoint.tensors.get("text.embed.weight")).toMatchObject({ dtype: "F16", shape: [4096, 256], begin: 0 });
    const norm = toFloat32(await checkpoint.read("text.layers.0.norm1.weight"), "F16");
    expect(norm.length).toBe(256);
    expect(norm.every((value) => Number.isFinite(value) && Math.abs(value) < 100)).toBe(true);
    await expect(checkpoint.read("text.missing")).rejects.toMatchObject({
      code: "tensor",
      message: expect.stringContaining('has no tensor "text.missing"'),
    });
    await expect(checkpoint.read("text.embed.weight", AbortSignal.abort())).rejects.toMatchObject({ code: "aborted" });
    await file.close();
  });

  it("has golden values whose float32 numbers come out as they went in", async () => {
    const file = await openFileSource(golden);
    const fixture = await openSafetensors(file);
    const x = toFloat32(await fixture.read("in.x"), "F32");
    expect(x.length).toBe(3 * 64 * 64);
    const deviation = Math.sqrt(x.reduce((sum, value) => sum + value * value, 0) / x.length);
    expect(deviation).toBeGreaterThan(0.5);
    expect(deviation).toBeLessThan(2);
    await file.close();
  });
});

describe("a written checkpoint", () => {
  const tensors: TensorBytes[] = [
    { name: "odd", dtype: "U8", shape: [3], bytes: Uint8Array.of(1, 2, 3) },
    {
      name: "half",
      dtype: "F16",
      shape: [2],
      bytes: new Uint8Array(float32ToFloat16(Float32Array.of(1.5, -2)).buffer),
    },
    { name: "full", dtype: "F32", shape: [1, 2], bytes: new Uint8Array(Float32Array.of(Math.PI, -0).buffer) },
    { name: "brain", dtype: "BF16", shape: [], bytes: Uint8Array.of(0x80, 0x3f) },
    { name: 'gr\u00fcn "x"\n', dtype: "I64", shape: [0, 4], bytes: new Uint8Array(0) },
  ];

  it("comes back whole, odd offsets and odd names included", async () => {
    const file = writeSafetensors(tensors, { made: "by a test" });
    expect(new DataView(file.buffer).getUint32(0, true) % 8).toBe(0);
    const read = await openSafetensors(bytesSource("written", file));
    expect(read.metadata).toEqual({ made: "by a test" });
    expect([...read.tensors.keys()]).toEqual(tensors.map(({ name }) => name));
    for (const { name, bytes } of tensors) expect(await read.read(name)).toEqual(bytes);
    expect(toFloat32(await read.read("half"), "F16")).toEqual(Float32Array.of(1.5, -2));
    expect(toFloat32(await read.read("full"), "F32")).toEqual(Float32Array.of(Math.PI, -0));
    expect(toFloat32(await read.read("brain"), "BF16")).toEqual(Float32Array.of(1));
  });

  it("is refused where bytes, shape or names do not fit", () => {
    const [odd] = tensors;
    expect(() => writeSafetensors([{ ...odd, shape: [4] }])).toThrow(
      'tensor "odd" of U8 [4] takes 4 bytes, and 3 came',
    );
    expect(() => writeSafetensors([odd, odd])).toThrow("the name is taken");
    expect(() => toFloat32(Uint8Array.of(1, 2), "I8")).toThrow(expect.objectContaining({ code: "dtype" }));
    expect(() => toFloat32(Uint8Array.of(1, 2, 3), "F16")).toThrow("3 bytes are not a whole number of F16 elements");
  });
});

describe("a damaged checkpoint is refused, and the damage named", () => {
  const header = (entries: object) => JSON.stringify(entries);
  const damages: [string, ByteSource, string][] = [
    ["an empty file", bytesSource("damaged.safetensors", new Uint8Array(0)), "truncated: 0 bytes"],
    ["a header cut off", fileOf("{}", 0, 400n), "a header of 400 bytes in a file of 10"],
    ["an absurd header length", fileOf("{}", 0, 2n ** 63n), "its header would be 9223372036854775808 bytes long"],
    ["no header", fileOf("", 40), "its header would be 0 bytes long"],
    ["a header that is not UTF-8", fileOf(Uint8Array.of(0x7b, 0xff, 0x7d), 0), "not UTF-8"],
    ["a header that is not JSON", fileOf("{a:1}", 0), "not JSON"],
    ["a header that is a list", fileOf("[]", 0), "not a JSON object"],
    ["a tensor that is a number", fileOf(header({ w: 3 }), 0), '"w" is not described'],
    ["odd metadata", fileOf(header({ __metadata__: { step: 3 } }), 0), "__metadata__"],
    ["an unknown dtype", fileOf(header({ w: tensor("F8_E5M2", [4], 0, 4) }), 4), '"w" has the unknown dtype "F8_E5M2"'],
    ["a dtype of the prototype", fileOf(header({ w: tensor("constructor", [4], 0, 4) }), 4), "unknown dtype"],
    ["a fractional shape", fileOf(header({ w: tensor("U8", [1.5], 0, 2) }), 2), "[1.5], not a list of whole numbers"],
    ["a negative shape", fileOf(header({ w: tensor("U8", [-2, -2], 0, 4) }), 4), "[-2,-2], not a list of whole"],
    ["a missing shape", fileOf(header({ w: { dtype: "U8", data_offsets: [0, 2] } }), 2), "not a list of whole"],
    ["one offset", fileOf(header({ w: { dtype: "U8", shape: [2], data_offsets: [2] } }), 2), "not two whole numbers"],
    [
      "an end before the beginning",
      fileOf(header({ w: tensor("U8", [2], 4, 2) }), 4),
      "begins at 4, after its end at 2",
    ],
    ["an end outside the file", fileOf(header({ w: tensor("F32", [4], 0, 16) }), 12), '"w" ends at byte 16 of 12'],
    ["a length that belies the shape", fileOf(header({ w: tensor("F16", [3], 0, 8) }), 8), "takes 6 bytes, and 8 are"],
    [
      "a product beyond all numbers",
      fileOf(header({ w: tensor("U8", [2 ** 40, 2 ** 40], 0, 8) }), 8),
      "impossibly large",
    ],
    [
      "an overlap",
      fileOf(header({ a: tensor("U8", [4], 0, 4), b: tensor("U8", [4], 2, 6) }), 6),
      '"b" begins at 2, inside tensor "a" (to 4)',
    ],
    [
      "a hole",
      fileOf(header({ a: tensor("U8", [2], 0, 2), b: tensor("U8", [2], 4, 6) }), 6),
      'a hole of 2 bytes lies before tensor "b"',
    ],
    [
      "trailing bytes",
      fileOf(header({ a: tensor("U8", [2], 0, 2) }), 5),
      '3 bytes that no tensor owns follow tensor "a"',
    ],
    [
      "a name given twice, once with an escape",
      fileOf(
        '{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"\\u0077" :{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
        2,
      ),
      '"w" is named twice',
    ],
  ];

  it.each(damages)("%s", async (_, source, message) => {
    await expect(openSafetensors(source)).rejects.toMatchObject({
      name: "ReimagenError",
      code: "checkpoint",
      message: expect.stringMatching(/^damaged\.safetensors: /),
    });
    await expect(openSafetensors(source)).rejects.toThrow(message);
  });
});

describe("half precision", () => {
  it("gives every one of its 65536 values back", () => {
    const halves = Uint16Array.from({ length: 65536 }, (_, i) => i);
    const values = float16ToFloat32(halves);
    const view = new DataView(values.buffer);
    for (let half = 0; half < 65536; half++) {
      const exponent = (half >> 10) & 31;
      const mantissa = half & 1023;
      const sign = half & 0x8000 ? -1 : 1;
      if (exponent === 31 && mantissa > 0) {
        expect(values[half]).toBeNaN();
        continue;
      }
      const magnitude =
        exponent === 31 ? Infinity : exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : mantissa * 2 ** -24;
      if (!Object.is(values[half], sign * magnitude)) expect.fail(`half ${half} became ${values[half]}`);
      expect(view.getUint8(half * 4 + 3) >> 7).toBe(half >> 15);
    }
    const back = float32ToFloat16(values);
    for (let half = 0; half < 65536; half++) {
      if (!Number.isNaN(values[half]) && back[half] !== half) expect.fail(`${values[half]} became half ${back[half]}`);
    }
    expect(back[0x7c01] & 0x7e00).toBe(0x7e00);
  });

  it("rounds to the nearest, ties to even, between every two neighbours", () => {
    const all = float16ToFloat32(Uint16Array.from({ length: 0x7c00 }, (_, i) => i));
    const midpoints = all.subarray(1).map((value, i) => (value + all[i]) / 2);
    const above = midpoints.map((value) => value * (1 + 2 ** -23));
    const below = midpoints.map((value) => value * (1 - 2 ** -23));
    const at = float32ToFloat16(midpoints);
    const up = float32ToFloat16(above);
    const down = float32ToFloat16(below);
    for (let i = 0; i < midpoints.length; i++) {
      const even = i % 2 === 0 ? i : i + 1;
      if (at[i] !== even || up[i] !== i + 1 || down[i] !== i) expect.fail(`around ${midpoints[i]}`);
    }
  });

  it("goes to infinity at half a step beyond its greatest, and to zero at half its least", () => {
    const values = Float32Array.of(65519.996, 65520, 1e30, -1e30, Infinity, NaN, 2 ** -25, 2 ** -25 * 1.0001, -1e-40);
    expect([...float32ToFloat16(values)]).toEqual([
      0x7bff, 0x7c00, 0x7c00, 0xfc00, 0x7c00, 0x7e00, 0x0000, 0x0001, 0x8000,
    ]);
  });
});
