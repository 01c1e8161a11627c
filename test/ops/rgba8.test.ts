import { expect, it } from "vitest";
import { sizeOf, type TensorType } from "../../src/ops/op.ts";
import { rgba8TextureKernel, toRgba8 } from "../../src/ops/rgba8.ts";
import { testGpu } from "../gpu.ts";
import { type Case, execute, Random, testOp } from "./harness.ts";

testOp(toRgba8, (random: Random): Case<Record<string, never>> => {
  const shape = [random.int(1, 3), random.int(1, 30), random.int(1, 30), 3];
  return { inputs: [{ type: { shape, dtype: "f32" } }], attributes: {} };
});

/** Two pictures of 16 x 16 pixels: every level twice and a half, then saturated ones. */
const type: TensorType = { shape: [2, 16, 16, 3], dtype: "f32" };
function pictures(): { data: Float64Array; bytes: number[] } {
  const random = new Random(8);
  const levels = Array.from({ length: sizeOf(type) }, (_, i) => (i < 768 ? i % 256 : random.int(-100, 400)));
  // A third off the level rounds back to it.
  const data = Float64Array.from(levels, (level, i) => (level + ((i % 3) - 1) / 3) / 127.5 - 1);
  const clamped = levels.map((level) => Math.min(Math.max(level, 0), 255));
  return { data, bytes: clamped.flatMap((byte, i) => (i % 3 === 2 ? [byte, 255] : [byte])) };
}

it("rgba8 meets every level, red in the lowest byte", async () => {
  const gpu = await testGpu();
  const { data, bytes } = pictures();
  const output = toRgba8.infer([type], {});
  const launch = toRgba8.variants[0]!.launch([type], output, {}, gpu.traits);
  const words = Uint32Array.from(await execute(gpu, launch, [{ type, data }], output));
  expect([...new Uint8Array(words.buffer)]).toEqual(bytes);
});

it("a texture shows the sample at the binding's offset, with the same bytes", async () => {
  const gpu = await testGpu();
  const { data, bytes } = pictures();
  const [height, width] = [16, 16];
  const sampleBytes = height * width * 3 * 4;
  const { kernel, workgroups } = rgba8TextureKernel(type);
  const { pipeline, layout } = await gpu.compile(kernel);
  const buffer = gpu.allocate("pictures", 2 * sampleBytes, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST);
  gpu.device.queue.writeBuffer(buffer, 0, Float32Array.from(data));
  const texture = gpu.device.createTexture({
    size: [width, height],
    format: "rgba8unorm",
    usage: GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_SRC,
  });
  // Rows of a texture's copy are 256 bytes apart.
  const target = gpu.allocate("texture readback", 256 * height, GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC);
  for (const sample of [0, 1]) {
    const group = gpu.device.createBindGroup({
      layout,
      entries: [
        { binding: 0, resource: { buffer, offset: sample * sampleBytes, size: sampleBytes } },
        { binding: 1, resource: texture.createView() },
      ],
    });
    const encoder = gpu.device.createCommandEncoder();
    const pass = encoder.beginComputePass();
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, group);
    pass.dispatchWorkgroups(...workgroups);
    pass.end();
    encoder.copyTextureToBuffer({ texture }, { buffer: target, bytesPerRow: 256 }, [width, height]);
    gpu.device.queue.submit([encoder.finish()]);
    const rows = new Uint8Array(await gpu.read(target, 0, 256 * height));
    const pixels = Array.from({ length: height }, (_, y) => [...rows.subarray(256 * y, 256 * y + 4 * width)]).flat();
    expect(pixels).toEqual(bytes.slice(sample * 4 * height * width, (sample + 1) * 4 * height * width));
  }
  texture.destroy();
  gpu.release(buffer);
  gpu.release(target);
});
