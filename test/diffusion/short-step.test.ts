// The short step, which runs the down-stack once for two evaluations that are told the same text, against the step that runs it twice.
import { expect, it } from "vitest";
import type { Conditioning } from "../../src/diffusion/guidance.ts";
import { type GenerationInputs, stepRow, tellsSameText, writeRequest } from "../../src/diffusion/inputs.ts";
import { denoisingLoop } from "../../src/diffusion/loop.ts";
import { type ReimagenShape, reimagenConditions, reimagenModel } from "../../src/diffusion/reimagen.ts";
import { stepCoefficients } from "../../src/diffusion/samplers.ts";
import { cosineSchedule } from "../../src/diffusion/schedule.ts";
import { samplingSettings } from "../../src/diffusion/settings.ts";
import { assemble } from "../../src/gpu/kernel.ts";
import { compileGraph, type Plan, persistentBytes } from "../../src/graph/compile.ts";
import { costOf } from "../../src/graph/cost.ts";
import { createExecutor } from "../../src/graph/executor.ts";
import { type Run, weightsOf } from "../../src/graph/graph.ts";
import { openSafetensors, writeSafetensors } from "../../src/io/safetensors.ts";
import { bytesSource } from "../../src/io/source.ts";
import { readConfig } from "../../src/models/config.ts";
import { loadWeights } from "../../src/models/weights.ts";
import { fixtureText } from "../fixture.ts";
import { testGpu } from "../gpu.ts";
import { someTraits } from "../graph/graphs.ts";
import { tinyModel } from "../tiny-model.ts";

const shapeOf = (shortSteps: boolean, pictures = 1): ReimagenShape => ({
  ...{ storage: "f32", pictures, evaluations: 2, texts: 2, neighbors: 2, shortSteps },
  ...{ thresholding: { kind: "static", range: 1 }, stochastic: false, multistep: true },
});

const both = { text: true, neighbors: true };
const towards = (base: Conditioning) => ({ conditional: both, base, weight: 3 });
const neighborStep = towards({ text: true, neighbors: false });
const textStep = towards({ text: false, neighbors: true });

it("draws the same, to the last bit, for one picture and for several, from any state", async () => {
  const gpu = await testGpu();
  const { config, tensors } = tinyModel();
  const checkpoint = await openSafetensors(bytesSource("tiny", writeSafetensors(tensors)));
  for (const pictures of [1, 3]) {
    const shape = shapeOf(true, pictures);
    const graph = denoisingLoop(reimagenModel(config, shape), shape);
    const weights = await loadWeights(gpu, checkpoint, weightsOf(graph));
    const executor = await createExecutor(gpu, compileGraph(graph, gpu.traits), weights);
    const text = (first: number) => ({
      ids: Int32Array.from({ length: config.text_len }, (_, i) => first + i),
      length: 9,
    });
    const texts = { prompt: text(3), empty: { ...text(40), length: 1 }, captions: [text(7), text(11)] };
    const inputs: GenerationInputs = {
      conditions: reimagenConditions(config, texts, cosineSchedule, shape),
      seeds: Array.from({ length: pictures }, (_, i) => 5 + i),
      coefficients: stepCoefficients(cosineSchedule, "v", samplingSettings({ steps: 2 })),
      guidance: Array.from({ length: pictures }, () => [neighborStep, neighborStep]),
    };
    writeRequest(executor, inputs);
    const size = 2 * config.size ** 2 * 3;
    executor.write(
      "neighbor.images",
      Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
    );
    executor.run("request");
    const start = Float32Array.from({ length: (pictures * size) / 2 }, (_, i) => Math.cos(i * i));
    const row = gpu.allocate("row", executor.stepRowBytes, GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST);
    gpu.device.queue.writeBuffer(row, 0, stepRow(executor, inputs, 0) as Uint8Array<ArrayBuffer>);
    const drawn = async (run: Run) => {
      executor.write("x", start);
      const encoder = gpu.device.createCommandEncoder();
      executor.takeStepRow(encoder, row, 0);
      executor.encode(run, encoder);
      gpu.device.queue.submit([encoder.finish()]);
      return executor.read("x.next");
    };
    const long = await drawn("step");
    expect(await drawn("short step")).toEqual(long);
    expect(await drawn("step")).toEqual(long);
    expect(new Set(long).size).toBeGreaterThan(100);
    executor.dispose();
    gpu.release(row);
    for (const buffer of weights.values()) gpu.release(buffer);
  }
});

it("is taken where the texts of every picture's two evaluations are the same", () => {
  expect(tellsSameText([[textStep, neighborStep]], 0)).toBe(false);
  expect(tellsSameText([[textStep, neighborStep]], 1)).toBe(true);
  expect(tellsSameText([[neighborStep], [textStep]], 0)).toBe(false);
  expect(tellsSameText([[neighborStep], [{ conditional: both, base: undefined, weight: 1 }]], 0)).toBe(true);
});

it("takes a sixth less arithmetic of the shipped model, next to no memory, and no pipelines of its own", async () => {
  const config = readConfig("config.json", await fixtureText("weights/emoji-64/config.json"));
  const plan = (shape: ReimagenShape) =>
    compileGraph(denoisingLoop(reimagenModel(config, shape), shape), someTraits({ software: true, subgroupSize: 4 }));
  const [without, with_] = [plan(shapeOf(false)), plan(shapeOf(true))];
  const flops = (run: "step" | "short step") => with_.schedule[run].reduce((sum, each) => sum + costOf(each).flops, 0);
  expect(flops("short step") / flops("step")).toBeLessThan(0.84);
  expect(with_.schedule.request.map(({ node }) => node.label)).toEqual(
    without.schedule.request.map(({ node }) => node.label),
  );
  const bytes = (of: Plan) => of.memory.arenas.reduce((sum, size) => sum + size, persistentBytes(of));
  expect(bytes(with_)).toBeLessThan(1.06 * bytes(without));
  const pipelines = ({ schedule }: Plan) =>
    new Set(Object.values(schedule).flatMap((list) => list.map(({ choice }) => assemble(choice.launch.kernel))));
  expect(pipelines(with_)).toEqual(pipelines(without));
});
