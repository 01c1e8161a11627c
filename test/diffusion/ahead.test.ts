// A pipeline's next part is begun with while the one before it is at work: its first weights are read, its kernels compiled.
import { expect, it, vi } from "vitest";
import { openPipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import type { Folder } from "../../src/io/folder.ts";
import { openSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { testGpu } from "../gpu.ts";
import { type Files, memoryFolder, tinyPipeline } from "../tiny-pipelines.ts";

const weights = {
  unet: "unet/diffusion_pytorch_model.safetensors",
  vae: "vae/diffusion_pytorch_model.safetensors",
  text_encoder: "text_encoder/model.safetensors",
};

/** The folder, noting each read of a tensor. */
async function watched(files: Files, events: string[]): Promise<Folder> {
  const folder = memoryFolder("sd", files);
  const headers = new Map<string, number>();
  for (const path of Object.values(weights)) {
    const { tensors } = await openSafetensors(bytesSource(path, files.get(path)!));
    const data = Math.max(...[...tensors.values()].map(({ end }) => end));
    headers.set(path, files.get(path)!.length - data);
  }
  return {
    ...folder,
    async open(path, signal) {
      const source = await folder.open(path, signal);
      const header = headers.get(path);
      if (!source || header === undefined) return source;
      return {
        ...source,
        read(offset, length, signal) {
          if (offset >= header) events.push(`read ${path.split("/")[0]} ${offset} ${length}`);
          return source.read(offset, length, signal);
        },
      };
    },
  };
}

const request = { prompt: "a red fox", steps: 4, seed: 5, size: { width: 48, height: 32 } };

it("the U-Net's beginning is read and compiled while the text is, the decoder's while the last steps run, and no byte twice", async () => {
  const gpu = await testGpu();
  const files = await tinyPipeline("StableDiffusionPipeline");
  const events: string[] = [];
  const { compile } = gpu;
  const spy = vi.spyOn(gpu, "compile").mockImplementation((kernel) => {
    events.push(`compile ${kernel.name}`);
    return compile.call(gpu, kernel);
  });
  const pipeline = await openPipeline(gpu, await watched(files, events));
  await pipeline.generate(request, {
    onLoad: (part, loaded, total) => void events.push(`loaded ${part} ${loaded === total ? "all" : ""}`),
    onCompile: (part, done, total) => void (done === total && events.push(`ready ${part}`)),
    onStep: (done) => void events.push(`step ${done}`),
  });
  spy.mockRestore();
  pipeline.dispose();
  const at = (what: string | RegExp) => events.findIndex((event) => event.match(what));
  // Convolutions are of the U-Net and the decoder alone.
  expect(at(/^read unet/)).toBeGreaterThan(at("loaded text_encoder all"));
  expect(at(/^read unet/)).toBeLessThan(at("ready text_encoder"));
  expect(at(/^compile conv2d/)).toBeLessThan(at("ready text_encoder"));
  expect(at(/^read vae/)).toBeGreaterThan(at("step 1"));
  expect(at(/^read vae/)).toBeLessThan(at("step 4"));
  const reads = events.filter((event) => event.startsWith("read "));
  expect(new Set(reads).size).toBe(reads.length);
  const read = (part: string) =>
    reads.filter((event) => event.includes(part)).reduce((sum, event) => sum + Number(event.split(" ")[3]), 0);
  for (const [part, path] of Object.entries(weights)) expect(read(part), part).toBeLessThan(files.get(path)!.length);
});

it("a drawing that is stopped before its next part leaves nothing of that, and the next drawing is whole", async () => {
  const gpu = await testGpu();
  const before = gpu.allocatedBytes;
  const files = await tinyPipeline("StableDiffusionPipeline");
  const events: string[] = [];
  const pipeline = await openPipeline(gpu, await watched(files, events));
  const stop = new AbortController();
  const onStep = (done: number) => void (done === 3 && stop.abort());
  await expect(pipeline.generate(request, { signal: stop.signal, onStep })).rejects.toMatchObject({ code: "aborted" });
  expect(events.some((event) => event.startsWith("read vae"))).toBe(true);
  const after = events.length;
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(events.length).toBe(after);
  expect(gpu.allocatedBytes).toBe(before);
  expect((await pipeline.generate(request)).pictures).toHaveLength(1);
  pipeline.dispose();
});
