// Which tensors a config asks for, known without a checkpoint and without a device.
import { GraphBuilder, type Value, weightsOf } from "../../graph/graph.ts";
import { unet } from "./unet.ts";
import type { UnetConfig } from "./unet_config.ts";
import { vaeDecoder, vaeEncoder } from "./vae.ts";
import type { VaeConfig } from "./vae_config.ts";

/** Shapes by name, as a checkpoint has them. */
export type Tensors = ReadonlyMap<string, readonly number[]>;

/** Every tensor of a U-Net's checkpoint. */
export function unetTensors(config: UnetConfig): Tensors {
  const side = 2 ** (config.down.length - 1);
  return tensorsOf((g) =>
    unet(g, config, {
      sample: g.input("sample", [1, side, side, config.inputs], "step"),
      time: g.input("time", [1], "step"),
      text: g.input("text", [1, 1, config.text.inputs], "request"),
      ...(config.classes.kind !== "none" && {
        classes: g.input("classes", [1], "request", config.classes.kind === "table" ? "u32" : "f32"),
      }),
    }),
  );
}

/** Every tensor of an autoencoder's checkpoint, both halves'. */
export function vaeTensors(config: VaeConfig): Tensors {
  const side = 2 ** (config.channels.length - 1);
  return new Map([
    ...tensorsOf((g) => vaeEncoder(g, config, g.input("pictures", [1, side, side, config.inputs], "request"))),
    ...tensorsOf((g) => vaeDecoder(g, config, g.input("latents", [1, 1, 1, config.latentChannels], "request"))),
  ]);
}

/** How many numbers they hold. */
export function parameterCount(tensors: Tensors): number {
  const sizes = [...tensors.values()].map((shape) => shape.reduce((product, extent) => product * extent, 1));
  return sizes.reduce((sum, size) => sum + size, 0);
}

function tensorsOf(build: (g: GraphBuilder) => Value): Map<string, readonly number[]> {
  const g = new GraphBuilder();
  g.output("y", build(g));
  const tensors = new Map<string, readonly number[]>();
  for (const { source } of weightsOf(g.finish()))
    if (source.kind === "weight") for (const name of source.weight.names) tensors.set(name, source.weight.shape);
  return tensors;
}
