// Resizing on every kernel, up and down, and against values of PyTorch's interpolate.
import { describe, expect, it } from "vitest";
import { type ResizeAttributes, resize } from "../../src/ops/resize.ts";
import { type Case, type Random, storage, testOp } from "./harness.ts";

function randomResize(random: Random): Case<ResizeAttributes> {
  const channels = random.pick([random.int(1, 6), 4 * random.int(1, 4)]);
  const [batch, h, w] = [random.int(1, 3), random.int(1, 11), random.int(1, 11)];
  const double = random.next() < 0.3;
  return {
    inputs: [{ type: { shape: [batch, h, w, channels], dtype: storage(random, channels) } }],
    attributes: {
      height: double ? 2 * h : random.int(1, 20),
      width: double ? 2 * w : random.int(1, 20),
      mode: random.pick(["nearest", "bilinear", "bilinear-corners"] as const),
    },
  };
}

testOp(resize, randomResize);

describe("resize", () => {
  const row = (values: number[], width: number, mode: ResizeAttributes["mode"]) => {
    const x = { shape: [1, 1, values.length, 1], data: Float64Array.from(values) };
    const attributes = { height: 1, width, mode };
    const type = resize.infer([{ shape: x.shape, dtype: "f32" }], attributes);
    return [...resize.reference([x], type, attributes)];
  };

  it("agrees with F.interpolate on a row", () => {
    expect(row([0, 4, 8], 6, "bilinear")).toEqual([0, 1, 3, 5, 7, 8]);
    expect(row([0, 4, 8, 12], 2, "bilinear")).toEqual([2, 10]);
    expect(row([0, 4, 8], 5, "bilinear-corners")).toEqual([0, 2, 4, 6, 8]);
    expect(row([3, 4, 8], 1, "bilinear-corners")).toEqual([3]);
    expect(row([1, 2, 3], 5, "nearest")).toEqual([1, 1, 2, 2, 3]);
    expect(row([1, 2, 3, 4, 5], 3, "nearest")).toEqual([1, 2, 4]);
  });

  it("refuses an empty result", () => {
    expect(() => row([1, 2], 0, "nearest")).toThrow("height and width must be integers from 1 to 32768, got 1 and 0");
  });
});
