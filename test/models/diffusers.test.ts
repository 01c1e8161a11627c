// Small models of the classes of DeepFloyd IF and Stable Diffusion, against Hugging Face diffusers in float64.
import { describe, expect, it } from "vitest";
import { selectTensors } from "../../src/io/checkpoint.ts";
import { readUnetConfig } from "../../src/models/diffusers/unet_config.ts";
import { vaeDecoder, vaeEncoder, vaeTensorName } from "../../src/models/diffusers/vae.ts";
import { readVaeConfig } from "../../src/models/diffusers/vae_config.ts";
import { relativeError } from "../ops/harness.ts";
import { recorded, runGraph, runUnet, type UnetExample } from "./run_diffusers.ts";
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
