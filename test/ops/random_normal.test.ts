// Noise: exact integers, accurate normals, the right distribution, and the same picture whatever else is in the batch.
import { describe, expect, it } from "vitest";
import boxMuller from "../../kernels/box_muller.wgsl";
import philox from "../../kernels/philox.wgsl";
import { keyOf, philox4x32, stream } from "../../src/diffusion/philox.ts";
import type { Launch, TensorType } from "../../src/ops/op.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, type Random, testOp } from "./harness.ts";

const word = (random: Random) => random.int(0, 2 ** 32 - 1);

testOp(randomNormal, (random: Random): Case<{ shape: number[] }> => {
  const samples = random.int(1, 3);
  return {
    inputs: [
      {
        type: { shape: [samples, 4], dtype: "u32" },
        data: Float64Array.from({ length: 4 * samples }, () => word(random)),
      },
    ],
    attributes: {
      shape: random.next() < 0.5 ? [random.int(1, 2000)] : [random.int(1, 20), random.int(1, 20), random.int(1, 4)],
    },
  };
});

/** Draws for keys [seed low, seed high, stream, reserved] with the named variant. */
async function draw(keys: number[][], shape: number[], variant = 0): Promise<Float64Array> {
  const type: TensorType = { shape: [keys.length, 4], dtype: "u32" };
  const output = randomNormal.infer([type], { shape });
  const gpu = await testGpu();
  const launch = randomNormal.variants[variant]!.launch([type], output, { shape }, gpu.traits);
  return execute(gpu, launch, [{ type, data: Float64Array.from(keys.flat()) }], output);
}

const launchOf = (code: string, count: number): Launch => ({
  kernel: { name: "random_normal.test", code, bindings: ["read", "write"] },
  workgroups: [Math.ceil(count / 64), 1, 1],
});

describe("the integers of Philox 4x32-10", () => {
  const code = `${philox}
    @group(0) @binding(0) var<storage, read> x: array<vec4u>;
    @group(0) @binding(1) var<storage, read_write> y: array<vec4u>;
    @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
      if (id.x < arrayLength(&y)) { y[id.x] = philox4x32(x[2u * id.x], x[2u * id.x + 1u].xy); }
    }`;

  async function onGpu(questions: { counter: number[]; key: number[] }[]): Promise<number[][]> {
    const data = Float64Array.from(questions.flatMap(({ counter, key }) => [...counter, ...key, 0, 0]));
    const count = questions.length;
    const words = await execute(
      await testGpu(),
      launchOf(code, count),
      [{ type: { shape: [count, 8], dtype: "u32" }, data }],
      { shape: [count, 4], dtype: "u32" },
    );
    return questions.map((_, i) => [...words.subarray(4 * i, 4 * i + 4)]);
  }

  it("are those of the authors' known answers", async () => {
    const answers = await onGpu([
      { counter: [0, 0, 0, 0], key: [0, 0] },
      { counter: Array(4).fill(0xffffffff), key: Array(2).fill(0xffffffff) },
      { counter: [0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], key: [0xa4093822, 0x299f31d0] },
    ]);
    expect(answers).toEqual([
      [0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8],
      [0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd],
      [0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1],
    ]);
  });

  it("are those of the generator on the CPU, for carries of every kind", async () => {
    const words = [0, 1, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffff0000, 0xffffffff, 0xdeadbeef];
    const questions = words.flatMap((a) =>
      words.map((b) => ({ counter: [a, b, b ^ 0x5555, a].map((w) => w >>> 0), key: [b, a] })),
    );
    const expected = questions.map(({ counter, key }) =>
      philox4x32(counter as [number, number, number, number], key as [number, number]),
    );
    expect(await onGpu(questions)).toEqual(expected);
  });
});

describe("the normals", () => {
  it("differ from f64 by less than 1e-5 at every corner of logarithm and circle", async () => {
    const code = `${boxMuller}
      @group(0) @binding(0) var<storage, read> x: array<vec2u>;
      @group(0) @binding(1) var<storage, read_write> y: array<vec2f>;
      @compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3u) {
        if (id.x < arrayLength(&y)) { y[id.x] = box_muller(x[id.x]); }
      }`;
    // Both sides of each power of two, of each power times sqrt(2), and of each sixteenth of a turn; then values in between.
    const around = (v: number) => [-2, -1, 0, 1, 2].map((d) => Math.min(Math.max(Math.round(v) + d, 0), 2 ** 24 - 1));
    const lengths = Array.from({ length: 25 }, (_, e) => [...around(2 ** e), ...around(2 ** e * Math.SQRT2)]).flat();
    const turns = Array.from({ length: 17 }, (_, i) => around(i * 2 ** 20)).flat();
    const between = Array.from({ length: 60 }, (_, i) => Math.floor(((i + 0.4) / 60) * 2 ** 24));
    const pairs = [...lengths, ...between].flatMap((u) => [...turns, ...between].map((v) => [u, v] as const));
    const words = pairs.flat().map((v) => v * 256 + 17);
    const type = { shape: [pairs.length, 2], dtype: "u32" } as const;
    const got = await execute(
      await testGpu(),
      launchOf(code, pairs.length),
      [{ type, data: Float64Array.from(words) }],
      { ...type, dtype: "f32" },
    );
    let worst = 0;
    for (const [i, [u, v]] of pairs.entries()) {
      const radius = Math.sqrt(-2 * Math.log((u + 1) / 2 ** 24));
      const angle = (2 * Math.PI * v) / 2 ** 24;
      worst = Math.max(worst, Math.abs(got[2 * i]! - radius * Math.cos(angle)));
      worst = Math.max(worst, Math.abs(got[2 * i + 1]! - radius * Math.sin(angle)));
    }
    expect(worst).toBeLessThan(1e-5);
  });

  it("come from the noise stream that the sampler's seeds promise", async () => {
    const [step, seed] = [7, 2 ** 40 + 12345];
    const got = await draw([[...keyOf(seed), step, 0]], [64, 64, 3]);
    for (const block of [0, 1, 1000, 3071]) {
      const [a, b] = philox4x32([block, step, 0, stream.noise], keyOf(seed));
      const radius = Math.sqrt(-2 * Math.log(((a >>> 8) + 1) / 2 ** 24));
      expect(got[4 * block]).toBeCloseTo(radius * Math.cos((2 * Math.PI * (b >>> 8)) / 2 ** 24), 5);
    }
  });

  it("have the moments of a standard normal over a million values", async () => {
    const keys = Array.from({ length: 4 }, (_, i) => [99, 0, i, 0]);
    const launches = await Promise.all(
      [0, 1, 2, 3, 4, 5].map((high) =>
        draw(
          keys.map(([l, , s]) => [l!, high, s!, 0]),
          [128, 128, 3],
        ),
      ),
    );
    const values = launches.flatMap((launch) => [...launch]);
    const n = values.length;
    expect(n).toBeGreaterThan(1e6);
    const moment = (power: number) => values.reduce((sum, v) => sum + v ** power, 0) / n;
    // Five standard errors: the k-th sample moment has variance (E v^2k - (E v^k)^2) / n.
    expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    const beyond = values.filter((v) => Math.abs(v) > 3).length / n;
    expect(Math.abs(beyond - 0.0026998)).toBeLessThan(5 * Math.sqrt(0.0027 / n));
  });

  it("are uncorrelated between seeds, between streams and between neighbours", async () => {
    const size = 128 * 128 * 3;
    const drawn = await draw(
      [
        [5, 0, 0, 0],
        [6, 0, 0, 0],
        [5, 1, 0, 0],
        [5, 0, 1, 0],
      ],
      [128, 128, 3],
    );
    const [first, ...others] = [0, 1, 2, 3].map((i) => drawn.subarray(i * size, (i + 1) * size));
    const correlation = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, i) => sum + v * b[i]!, 0) / a.length;
    for (const other of others) expect(Math.abs(correlation(first!, other))).toBeLessThan(5 / Math.sqrt(size));
    for (const lag of [1, 2, 3, 4, 384])
      expect(Math.abs(correlation(first!.subarray(0, size - lag), first!.subarray(lag)))).toBeLessThan(
        5 / Math.sqrt(size),
      );
  });

  it("are the same bits alone, in a batch of three, and from either kernel", async () => {
    const keys = [
      [1, 2, 3, 0],
      [4, 5, 6, 0],
      [7, 8, 9, 0],
    ];
    const together = await draw(keys, [16, 16, 3]);
    expect(await draw(keys, [16, 16, 3], 1)).toEqual(together);
    for (const [i, key] of keys.entries())
      expect(await draw([key], [16, 16, 3])).toEqual(together.slice(i * 768, (i + 1) * 768));
  });
});
