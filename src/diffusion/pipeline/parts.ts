// The parts of a pipeline that are loaded by themselves: text encoder, U-Net, the decoder of its latents, and their encoder for neighbours.
import type { Gpu } from "../../gpu/gpu.ts";
import { type Graph, GraphBuilder, weightsOf } from "../../graph/graph.ts";
import { openCheckpoint, selectTensors } from "../../io/checkpoint.ts";
import { type Folder, subfolder } from "../../io/folder.ts";
import type { Safetensors } from "../../io/safetensors.ts";
import { clipTextEncoder, clipTextLeaves } from "../../models/clip_text.ts";
import type { UnetConfig } from "../../models/diffusers/unet_config.ts";
import { vaeDecoder, vaeEncoder, vaeTensorName } from "../../models/diffusers/vae.ts";
import type { VaeConfig } from "../../models/diffusers/vae_config.ts";
import { t5Encoder, t5Leaves, t5Names } from "../../models/t5.ts";
import { checkCheckpoint, loadWeights } from "../../models/weights.ts";
import { toRgba8 } from "../../ops/rgba8.ts";
import { denoisingLoop } from "../loop.ts";
import type { Loadable } from "../resident.ts";
import type { TextConfig } from "./definition.ts";
import type { Storage } from "./memory.ts";
import { tileOf } from "./tiled-unet.ts";
import { type UnetShape, unetModel } from "./unet-model.ts";

/** A part: a folder of the pipeline, and the graph that its weights serve. `Shape` is plain data. */
export interface Part<Shape> {
  /** Its folder. */
  readonly name: string;
  graph(shape: Shape): Graph;
  /** A shape to learn the tensors from. */
  readonly probe: Shape;
  /** What a tensor of the checkpoint is called here; undefined for one that is of no use. */
  rename(tensor: string): string | undefined;
}

/** Texts of so many tokens, padding included. */
export interface TextShape {
  readonly texts: number;
  readonly tokens: number;
}

/** Inputs: `ids` u32 [R, T], `table` u32 [R, 1, 2]. Output: `states` [R, T, D]. */
export function textPart(text: TextConfig, storage: Storage): Part<TextShape> {
  return {
    name: "text_encoder",
    probe: { texts: 1, tokens: 2 },
    rename: (name) => ((text.kind === "t5" ? t5Leaves : clipTextLeaves)(name) ? undefined : name),
    graph({ texts, tokens }) {
      const g = new GraphBuilder(storage.activations, storage.weights);
      const ids = g.input("ids", [texts, tokens], "request", "u32");
      const table = g.input("table", [texts, 1, 2], "request", "u32");
      g.output(
        "states",
        text.kind === "t5"
          ? t5Encoder(g, text.config, t5Names, ids, table)
          : clipTextEncoder(g, text.config, ids, table).tokens,
      );
      return g.finish();
    },
  };
}

/** The denoising loop of the U-Net. */
export function unetPart(config: UnetConfig, upscales: boolean, storage: Storage): Part<UnetShape> {
  const side = 2 ** (config.down.length - 1);
  return {
    name: "unet",
    probe: {
      storage: storage.activations,
      weights: storage.weights,
      pictures: 1,
      evaluations: 1,
      height: side,
      width: side,
      tokens: 1,
      ...(upscales && { low: { height: side, width: side } }),
      thresholding: { kind: "none" },
      stochastic: false,
      multistep: false,
    },
    rename: (name) => name,
    graph(given) {
      const shape = { ...given, storage: storage.activations, weights: storage.weights };
      return shape.tile ? tileOf(config, shape) : denoisingLoop(unetModel(config, shape), shape);
    },
  };
}

/** A latent's extents. */
export interface LatentShape {
  readonly height: number;
  readonly width: number;
}

/** Input: `latents` [1, H, W, C], as the autoencoder has them. Outputs: `values` f32 in about [-1, 1], and `picture` RGBA8. */
export function decoderPart(config: VaeConfig, storage: Storage): Part<LatentShape> {
  const activations = config.wantsSingle ? "f32" : storage.activations;
  return {
    name: "vae",
    probe: { height: 1, width: 1 },
    rename: (name) => vaeTensorName("decoder", name),
    graph({ height, width }) {
      // Few weights, each of them in every pixel: 8 bits would save little.
      const g = new GraphBuilder(activations);
      const latents = g.input("latents", [1, height, width, config.latentChannels], "request");
      const values = vaeDecoder(g, config, latents);
      g.output("values", values);
      g.output("picture", g.apply(toRgba8, [values], {}));
      return g.finish();
    },
  };
}

/** Input: `pictures` [1, 2^(levels - 1) H, .. W, 3] in [-1, 1]. Output: `moments` [1, H, W, 2 C] of their latents. */
export function encoderPart(config: VaeConfig, storage: Storage): Part<LatentShape> {
  const activations = config.wantsSingle ? "f32" : storage.activations;
  const scale = 2 ** (config.channels.length - 1);
  return {
    name: "vae",
    probe: { height: 1, width: 1 },
    rename: (name) => vaeTensorName("encoder", name),
    graph({ height, width }) {
      const g = new GraphBuilder(activations);
      const pictures = g.input("pictures", [1, scale * height, scale * width, config.inputs], "request");
      g.output("moments", vaeEncoder(g, config, pictures));
      return g.finish();
    },
  };
}

/** Opens a part's checkpoint, reading headers only. Throws `checkpoint`, `tensor`, `dtype`, `config` where it is broken or contradicts its config, `aborted`. */
export async function openPart<Shape>(folder: Folder, part: Part<Shape>, signal?: AbortSignal): Promise<Safetensors> {
  const whole = await openCheckpoint(subfolder(folder, part.name), signal);
  const checkpoint = selectTensors(whole, part.rename);
  checkCheckpoint(checkpoint, weightsOf(part.graph(part.probe)));
  return checkpoint;
}

/** What brings a part's weights to a device. */
export function loadablePart<Shape>(gpu: Gpu, checkpoint: Safetensors, part: Part<Shape>): Loadable<Shape> {
  return {
    graph: (shape) => part.graph(shape),
    load: (options) => loadWeights(gpu, checkpoint, weightsOf(part.graph(part.probe)), options),
  };
}
