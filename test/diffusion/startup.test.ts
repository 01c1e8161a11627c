// An engine's start: kernels begin to compile before the weights are read, and a request of the usual kind finds all of them.
import { expect, it } from "vitest";
import { createEngine, type ModelFiles } from "../../src/diffusion/engine.ts";
import { ownGpu } from "../gpu.ts";
import { tinyModel } from "../tiny-model.ts";
import { filesOf, neighbors } from "./tiny-engine.ts";

/** The files, noting each read of weights. */
function watched(files: ModelFiles, events: string[]): ModelFiles {
  return {
    ...files,
    async weights(signal) {
      const source = await files.weights(signal);
      return {
        ...source,
        read(offset, length, signal) {
          events.push("read");
          return source.read(offset, length, signal);
        },
      };
    },
  };
}

it("compiles for the usual request while weights are read, the longest kernel first, and nothing more when that comes", async () => {
  const gpu = await ownGpu();
  const events: string[] = [];
  const create = gpu.device.createComputePipelineAsync.bind(gpu.device);
  gpu.device.createComputePipelineAsync = (descriptor) => {
    events.push(descriptor.label!);
    return create(descriptor);
  };
  const engine = await createEngine(gpu, watched(filesOf(tinyModel()), events));
  // The header, in two reads, and what loading itself takes come first.
  const header = events.lastIndexOf(
    "read",
    events.findIndex((event) => event.startsWith("repack")),
  );
  const begun = events.slice(header + 1);
  const compiled = begun.slice(0, begun.indexOf("read")).filter((event) => !event.startsWith("repack"));
  expect(compiled[0]).toMatch(/^attention/);
  expect(compiled.length).toBeGreaterThan(10);
  expect(begun.slice(begun.indexOf("read")).every((event) => event === "read")).toBe(true);
  events.length = 0;
  await engine.generate({ prompt: "a moose", neighbors: neighbors(2) });
  expect(events).toEqual([]);
  engine.dispose();
  gpu.dispose();
});
