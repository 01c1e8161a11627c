// Small models of the classes of DeepFloyd IF and Stable Diffusion, against Hugging Face diffusers in float64.
import { describe, expect, it } from "vitest";
import type { GraphBuilder } from "../../src/graph/graph.ts";
import { selectTensors } from "../../src/io/checkpoint.ts";
import { readUnetConfig } from "../../src/models/diffusers/unet_config.ts";
import { vaeDecoder, vaeEncoder, vaeTensorName } from "../../src/models/diffusers/vae.ts";
import { readVaeConfig } from "../../src/models/diffusers/vae_config.ts";
import { testGpu } from "../gpu.ts";
import { Random, relativeError } from "../ops/harness.ts";
import { interpretGraph, recorded, runGraph, runUnet, type UnetExample } from "./run_diffusers.ts";
import { channelsLast } from "./run_model.ts";

/** The recorded run of a U-Net, without its storage. */
async function open(name: string): Promise<Omit<UnetExample, "storage"> & { expected: Float32Array }> {
  const { config, checkpoint, golden } = await recorded(name);
  const [, , height, width] = golden.tensors.get("in.sample")!.shape as [number, number, number, number];
  const labels = golden.tensors.get("in.class_labels");
  const bytes = labels && (await golden.read("in.class_labels")).slice().buffer;
  return {
    config: readUnetConfig(`${name}/config.json`, config),
    checkpoint,
    size: [height, width],
    sample: await channelsLast(golden, "in.sample"),
    time: await channelsLast(golden, "in.timestep"),
    text: await channelsLast(golden, "in.encoder_hidden_states"),
    texts: golden.tensors.get("in.encoder_hidden_states")!.shape.slice(0, 2) as unknown as [number, number],
    ...(bytes && { classes: labels.dtype === "I32" ? new Uint32Array(bytes) : new Float32Array(bytes) }),
    expected: await channelsLast(golden, "out"),
  };
}

describe.each([
  { storage: "f32", most: 2e-4 },
  { storage: "f16", most: 1e-2 },
] as const)("in $storage storage", ({ storage, most }) => {
  it.each(["if-stage-1", "if-stage-2", "sd-1", "sd-x4-upscaler"])("%s agrees with diffusers", async (name) => {
    const { expected, ...example } = await open(name);
    const error = relativeError(await runUnet({ ...example, storage }), expected);
    console.info(`${name}, ${storage}: relative L2 error ${error.toExponential(1)}`);
    expect(error).toBeLessThan(most);
  });

  it("the autoencoder agrees with diffusers, from latents to a picture and from a picture to latents", async () => {
    const { config: text, checkpoint, golden } = await recorded("vae");
    const config = readVaeConfig("vae/config.json", text);
    const half = (which: "decoder" | "encoder") => selectTensors(checkpoint, (name) => vaeTensorName(which, name));
    const latents = await channelsLast(golden, "in.latent");
    const decoded = await runGraph(
      storage,
      half("decoder"),
      (g) => vaeDecoder(g, config, g.input("latents", [1, 8, 8, 4], "request")),
      new Map([["latents", latents]]),
    );
    const pictures = await channelsLast(golden, "in.image");
    const moments = await runGraph(
      storage,
      half("encoder"),
      (g) => vaeEncoder(g, config, g.input("pictures", [1, 32, 32, 3], "request")),
      new Map([["pictures", pictures]]),
    );
    const errors = [
      relativeError(decoded, await channelsLast(golden, "out")),
      relativeError(moments, await channelsLast(golden, "moments")),
    ];
    console.info(`vae, ${storage}: relative L2 error ${errors.map((error) => error.toExponential(1)).join(", ")}`);
    for (const error of errors) expect(error).toBeLessThan(most);
  });
});

describe("the model's answer for a picture does not depend on what else is in the batch, nor on", () => {
  it.each([
    { name: "if-stage-1", size: [24, 16], lengths: [9, 5, 1], length: 9 },
    { name: "if-stage-2", size: [16, 40], lengths: [7, 7, 3, 1], length: 7 },
    { name: "sd-1", size: [10, 15], lengths: [11, 4], length: 11 },
    { name: "sd-x4-upscaler", size: [24, 8], lengths: [5, 2, 5, 1], length: 5 },
  ] as const)("the rows that its text stands in: $name, $size pixels, texts of $lengths tokens", async (given) => {
    const { config, checkpoint } = await open(given.name);
    const random = new Random(7);
    const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
    const { size, lengths, length } = given;
    const batch = lengths.length;
    const pixels = size[0] * size[1] * config.inputs;
    const sample = normals(batch * pixels);
    const time = Float32Array.from(lengths, (_, i) => 999 - 301 * i);
    const text = normals(batch * length * config.text.inputs);
    const classes =
      config.classes.kind === "none"
        ? undefined
        : config.classes.kind === "table"
          ? Uint32Array.from(lengths, (_, i) => 17 * i)
          : time.map((t) => t / 3);
    const example = { config, checkpoint, size, storage: "f32" as const };
    // The texts stand in reverse order.
    const together = await runUnet({
      ...example,
      sample,
      time,
      text,
      texts: [batch, length],
      ...(classes && { classes }),
      shown: lengths.map((shown, i) => ({ row: batch - 1 - i, length: shown })),
    });
    const answer = together.length / batch;
    for (const [i, shown] of lengths.entries()) {
      const row = batch - 1 - i;
      const alone = await runUnet({
        ...example,
        sample: sample.slice(i * pixels, (i + 1) * pixels),
        time: time.slice(i, i + 1),
        text: text.slice(row * length * config.text.inputs, (row + 1) * length * config.text.inputs),
        texts: [1, length],
        ...(classes && { classes: classes.slice(i, i + 1) }),
        shown: [{ row: 0, length: shown }],
      });
      expect(relativeError(together.subarray(i * answer, (i + 1) * answer), alone)).toBeLessThan(1e-5);
    }
  });

  it("tokens that a mask hides: as if they were not there, whatever they say", async () => {
    const { expected: _, ...example } = await open("sd-1");
    const [rows, length] = example.texts;
    const width = example.config.text.inputs;
    const short = new Float32Array(rows * 4 * width);
    const changed = example.text.slice();
    for (let row = 0; row < rows; row++) {
      short.set(example.text.subarray(row * length * width, (row * length + 4) * width), row * 4 * width);
      changed.fill(3, (row * length + 4) * width, (row + 1) * length * width);
    }
    const storage = "f32";
    const masked = { storage, shown: [0, 1].map((row) => ({ row, length: 4 })) } as const;
    const whole = await runUnet({ ...example, ...masked });
    expect(relativeError(await runUnet({ ...example, ...masked, text: changed }), whole)).toBe(0);
    const cut = await runUnet({ ...example, storage, text: short, texts: [rows, 4] });
    expect(relativeError(cut, whole)).toBeLessThan(1e-6);
    expect(relativeError(await runUnet({ ...example, storage }), whole)).toBeGreaterThan(1e-3);
  });
});

it("attention to the text alone is attention to itself and the text, with nothing of itself", async () => {
  const { expected: _, ...example } = await open("if-stage-2");
  const json = JSON.parse((await recorded("if-stage-2")).config);
  const config = readUnetConfig("text alone", JSON.stringify({ ...json, only_cross_attention: true }));
  const checkpoint = selectTensors(example.checkpoint, (name) => (/\.to_[kv]\./.test(name) ? undefined : name));
  const alone = await runUnet({ ...example, config, checkpoint, storage: "f32" });
  const hidden = await runUnet({ ...example, storage: "f32" }, (table) =>
    table.map((value, i) => (i % 4 === 1 ? 0 : value)),
  );
  expect(relativeError(alone, hidden)).toBeLessThan(1e-6);
  expect(relativeError(await runUnet({ ...example, storage: "f32" }), hidden)).toBeGreaterThan(1e-3);
});

it("latents of an odd, oblong shape decode, and encode back, as their f64 definition says", async () => {
  const { config: text, checkpoint } = await recorded("vae");
  const config = readVaeConfig("vae/config.json", text);
  const random = new Random(11);
  const normals = (count: number) => Float32Array.from({ length: count }, () => random.normal());
  for (const [half, shape, build] of [
    ["decoder", [2, 3, 5, 4], vaeDecoder],
    ["encoder", [2, 14, 9, 3], vaeEncoder],
  ] as const) {
    const part = selectTensors(checkpoint, (name) => vaeTensorName(half, name));
    const make = (g: GraphBuilder) => build(g, config, g.input("x", shape, "request"));
    const x = normals(shape.reduce((product, extent) => product * extent, 1));
    const expected = await interpretGraph(part, make, new Map([["x", x]]));
    expect(relativeError(await runGraph("f32", part, make, new Map([["x", x]])), expected)).toBeLessThan(1e-5);
  }
});

it("a latent or picture that cannot be halved as often as the model does is refused", async () => {
  const { expected: _, ...example } = await open("if-stage-1");
  const sample = new Float32Array(18 * 16 * 3);
  const texts = [1, 9] as const;
  const odd = { ...example, storage: "f32", size: [18, 16], sample, texts, text: new Float32Array(9 * 96) } as const;
  await expect(runUnet(odd)).rejects.toMatchObject({
    code: "shape",
    message: "height and width must be multiples of 4 for this U-Net, got [18, 16]",
  });
  const { classes, ...untold } = { ...(await open("if-stage-2")), storage: "f32" as const };
  expect(classes).toHaveLength(1);
  await expect(runUnet(untold)).rejects.toThrow("the U-Net is told a second number besides the time");
});

it("the names that attention's projections had before 2023 are understood", () => {
  expect(vaeTensorName("decoder", "decoder.mid_block.attentions.0.proj_attn.weight")).toBe(
    "decoder.mid_block.attentions.0.to_out.0.weight",
  );
  expect(vaeTensorName("encoder", "encoder.mid_block.attentions.0.query.bias")).toBe(
    "encoder.mid_block.attentions.0.to_q.bias",
  );
  expect(vaeTensorName("encoder", "decoder.conv_in.weight")).toBeUndefined();
});

it("a config and a checkpoint that contradict each other never reach the device", async () => {
  const run = async (name: string, change: object) => {
    const { expected: _, ...example } = await open(name);
    const json = JSON.parse((await recorded(name)).config);
    return runUnet({
      ...example,
      config: readUnetConfig(name, JSON.stringify({ ...json, ...change })),
      storage: "f32",
    });
  };
  const gpu = await testGpu();
  const { allocatedBytes } = gpu;
  await expect(run("sd-1", { use_linear_projection: true })).rejects.toMatchObject({
    code: "tensor",
    message: expect.stringContaining("proj_in.weight should be [32, 32] by the config, got [32, 32, 1, 1]"),
  });
  await expect(run("sd-1", { layers_per_block: 3 })).rejects.toThrow(
    "has no tensor down_blocks.0.resnets.2.norm1.weight",
  );
  await expect(run("if-stage-1", { addition_embed_type: null })).rejects.toThrow(
    "has a tensor add_embedding.norm1.weight that the config has no place for",
  );
  expect(gpu.allocatedBytes).toBe(allocatedBytes);
});
