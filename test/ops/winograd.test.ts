import { beforeAll } from "vitest";
import { loadKernelsFor } from "../../src/ops/lazy_kernels.ts";
import { tilesOf } from "../../src/ops/winograd.ts";
import { type WinogradInputAttributes, winogradInput } from "../../src/ops/winograd_input.ts";
import { type WinogradOutputAttributes, winogradOutput } from "../../src/ops/winograd_output.ts";
import { type WinogradProductAttributes, winogradProduct } from "../../src/ops/winograd_product.ts";
import { winogradWeights } from "../../src/ops/winograd_weights.ts";
import { type Case, testOp } from "./harness.ts";

beforeAll(() => loadKernelsFor({ software: true }));

const f32 = (...shape: number[]) => ({ type: { shape, dtype: "f32" as const } });

testOp(winogradWeights, (random): Case<object> => {
  // Whole blocks, as nobody reads padding and nobody writes it.
  return { inputs: [f32(3, 3, 4 * random.int(1, 8), 32 * random.int(1, 3))], attributes: {} };
});

testOp(winogradInput, (random): Case<WinogradInputAttributes> => {
  for (;;) {
    const [batch, height, width, c] = [random.int(1, 4), random.int(2, 17), random.int(2, 17), 4 * random.int(1, 6)];
    const [padding, upsample] = [random.int(0, 2), random.pick([1, 2] as const)];
    const [ho, wo] = [height, width].map((size) => size * upsample + 2 * padding - 2) as [number, number];
    const attributes = { padding, upsample, height: ho, width: wo };
    if (ho > 0 && wo > 0 && tilesOf([batch, ho, wo]).tiles % 8 === 0)
      return { inputs: [f32(batch, height, width, c)], attributes };
  }
});

testOp(winogradProduct, (random): Case<WinogradProductAttributes> => {
  const [tiles, outputs, c4] = [random.int(1, 40), 4 * random.int(1, 20), random.int(1, 9)];
  const inputs = [f32(36, Math.ceil(tiles / 8), c4, 8, 4), f32(36, Math.ceil(outputs / 32), c4, 32, 4)];
  return { inputs, attributes: { tiles, outputs } };
});

testOp(winogradOutput, (random): Case<WinogradOutputAttributes> => {
  const [batch, height, width, o] = [random.int(1, 3), random.int(1, 17), random.int(1, 17), 4 * random.int(1, 9)];
  const bias = random.pick([null, f32(o), f32(1, o), f32(batch, o)]);
  const residual = random.pick([null, f32(batch, height, width, o)]);
  const activation = random.pick(["none", "silu", "gelu", "gelu_erf", "quick_gelu"] as const);
  const scale = random.pick([1, Math.SQRT1_2]);
  return {
    inputs: [f32(36, tilesOf([batch, height, width]).tiles, o), bias, residual],
    attributes: { batch, height, width, activation, scale },
  };
});
