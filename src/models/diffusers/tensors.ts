// Every tensor of a diffusers checkpoint, by its config.
import { GraphBuilder, type Value } from "../../graph/graph.ts";
import { type TensorShapes, tensorShapes } from "../tensors.ts";
import { unet } from "./unet.ts";
import type { UnetConfig } from "./unet_config.ts";
import { vaeDecoder, vaeEncoder } from "./vae.ts";
import type { VaeConfig } from "./vae_config.ts";

/** Every tensor of a U-Net's checkpoint. */
export function unetTensors(config: UnetConfig): TensorShapes {
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
export function vaeTensors(config: VaeConfig): TensorShapes {
  const side = 2 ** (config.channels.length - 1);
  return new Map([
    ...tensorsOf((g) => vaeEncoder(g, config, g.input("pictures", [1, side, side, config.inputs], "request"))),
    ...tensorsOf((g) => vaeDecoder(g, config, g.input("latents", [1, 1, 1, config.latentChannels], "request"))),
  ]);
}

function tensorsOf(build: (g: GraphBuilder) => Value): TensorShapes {
  const g = new GraphBuilder();
  g.output("y", build(g));
  return tensorShapes(g.finish());
}
