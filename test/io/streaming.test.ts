// A checkpoint of two gigabytes, in shards, goes to the device through little memory.
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { GraphBuilder } from "../../src/graph/graph.ts";
import { openCheckpoint, selectTensors } from "../../src/io/checkpoint.ts";
import { prefetching } from "../../src/io/prefetch.ts";
import type { Safetensors } from "../../src/io/safetensors.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { openFolder } from "../../src/node/folder.ts";
import { testGpu } from "../gpu.ts";

const mebibyte = 2 ** 20;

/** A safetensors file of these half-precision tensors, all zeros, with as good as nothing on disk. */
async function writeZeros(path: string, tensors: ReadonlyMap<string, readonly number[]>): Promise<void> {
  const header: Record<string, unknown> = {};
  let end = 0;
  for (const [name, shape] of tensors) {
    const bytes = shape.reduce((product, extent) => product * extent, 2);
    header[name] = { dtype: "F16", shape, data_offsets: [end, end + bytes] };
    end += bytes;
  }
  const json = new TextEncoder().encode(JSON.stringify(header));
  const file = await open(path, "w");
  await file.write(new Uint8Array(BigUint64Array.of(BigInt(json.length)).buffer));
  await file.write(json);
  await file.truncate(8 + json.length + end);
  await file.close();
}

it("2 GiB in two shards, its largest tensors 512 and 288 MiB, with less than 300 MiB of heap and buffers, 128 MiB read ahead included", async () => {
  const path = await mkdtemp(join(tmpdir(), "reimagen-streaming-"));
  const shapes = new Map<string, readonly number[]>([
    ["table", [65536, 4096]],
    ["kernel", [4096, 4096, 3, 3]],
    ...Array.from({ length: 40 }, (_, i) => [`matrix ${i}`, [4096, 4096]] as const),
  ]);
  const inFirst = (name: string) => name.length < 9;
  const homes = [...shapes.keys()].map((name) => [name, `model-${inFirst(name) ? 1 : 2}.safetensors`]);
  for (const shard of [1, 2])
    await writeZeros(
      join(path, `model-${shard}.safetensors`),
      new Map([...shapes].filter(([name]) => inFirst(name) === (shard === 1))),
    );
  const index = await open(join(path, "model.safetensors.index.json"), "w");
  await index.write(JSON.stringify({ weight_map: Object.fromEntries(homes) }));
  await index.close();

  const folder = await openFolder(path);
  const checkpoint = await openCheckpoint(folder);
  let read = 0;
  let most = 0;
  const watched: Safetensors = {
    ...checkpoint,
    async read(name, signal, range) {
      const bytes = await checkpoint.read(name, signal, range);
      const { heapUsed, external } = process.memoryUsage();
      most = Math.max(most, heapUsed + external);
      read += bytes.length;
      return bytes;
    },
  };
  const ahead = prefetching(watched, 2 ** 27);
  ahead.start(shapes.keys());
  const gpu = await testGpu();
  // As much as is allowed will have been read ahead.
  while (read < 2 ** 27) await new Promise((resolve) => setTimeout(resolve, 10));
  const g = new GraphBuilder("f16");
  const layoutOf = (shape: readonly number[]) => (shape.length === 4 ? "conv" : "linear");
  // One tensor at a time, so that it is not the software adapter's memory that is short.
  for (const [name, shape] of shapes) {
    const weight = g.weight(name, shape, name === "table" ? "plain" : layoutOf(shape));
    const part = selectTensors(ahead.checkpoint, (each) => (each === name ? name : undefined));
    for (const buffer of (await loadWeights(gpu, part, [weight])).values()) gpu.release(buffer);
  }
  ahead.drop();
  await folder.close();
  await rm(path, { recursive: true });
  console.info(`heap and buffers: at most ${Math.round(most / mebibyte)} MiB`);
  expect(read).toBeGreaterThan(2 ** 31);
  expect(most).toBeLessThan(300 * mebibyte);
});
