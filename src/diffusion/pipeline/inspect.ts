// What a pipeline's folder holds and would need on a device, told from configs and checkpoint headers alone.
import { ReimagenError } from "../../errors.ts";
import type { DeviceTraits } from "../../gpu/traits.ts";
import { weightsOf } from "../../graph/graph.ts";
import { openCheckpoint, selectTensors } from "../../io/checkpoint.ts";
import { type Folder, readText, subfolder } from "../../io/folder.ts";
import { readUnetConfig, type UnetConfig } from "../../models/diffusers/unet_config.ts";
import { readVaeConfig, type VaeConfig } from "../../models/diffusers/vae_config.ts";
import { parameterCount, tensorShapes } from "../../models/tensors.ts";
import { checkCheckpoint } from "../../models/weights.ts";
import { loadKernelsFor } from "../../ops/lazy_kernels.ts";
import { defaults, readPipeline, readTextConfig, type TextConfig } from "./definition.ts";
import { type Needs, needsOf, type Storage } from "./memory.ts";
import { type ModelIndex, type PipelineClass, readModelIndex } from "./model-index.ts";
import { decoderPart, type Part, textPart, unetPart } from "./parts.ts";
import { mostTokens, tokensOf } from "./text.ts";
import { textRows, type UnetShape } from "./unet-model.ts";

/** The ways to keep a part that are compared: 8-bit weights with activations in half precision. */
export const storages = {
  f32: { activations: "f32", weights: "f32" },
  f16: { activations: "f16", weights: "f16" },
  q8: { activations: "f16", weights: "q8" },
} as const satisfies Record<string, Storage>;

/** What is known of a part. */
export interface InspectedPart {
  /** Its folder. */
  readonly name: string;
  readonly architecture: string;
  /** Those that are loaded: of an autoencoder the decoder's. */
  readonly parameters: number;
  /** Arithmetic of a run: once a request, and of a U-Net at each step with guidance. */
  readonly flops: number;
  readonly needs: Readonly<Record<keyof typeof storages, Needs>>;
  /** Element types in the checkpoint, or why it cannot be used. */
  readonly checkpoint: { readonly types: readonly string[] } | { readonly problem: string };
}

/** What is known of a pipeline. */
export interface InspectedPipeline {
  readonly class: PipelineClass;
  readonly parts: readonly InspectedPart[];
  /** Parts that are not read, as none changes what is drawn. */
  readonly passedOver: readonly string[];
  /** A sentence for everything that is in the way of drawing, weights that are not there aside. */
  readonly unsupported: readonly string[];
}

/** Looks a folder over, for pictures of the size that the U-Net was trained on. Throws `checkpoint` and `config` where there is no index that can be read, `aborted`. */
export async function inspectPipeline(
  folder: Folder,
  traits: DeviceTraits,
  signal?: AbortSignal,
): Promise<InspectedPipeline> {
  await loadKernelsFor(traits);
  const file = `${folder.name}/model_index.json`;
  const index = readModelIndex(file, await readText(folder, "model_index.json", signal));
  const unsupported = new Set<string>();
  const attempt = async <T>(make: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await make();
    } catch (error) {
      if (!(error instanceof ReimagenError) || error.code === "aborted") throw error;
      unsupported.add(error.message);
      return undefined;
    }
  };
  const config = <T>(part: string, read: (name: string, text: string) => T) =>
    attempt(async () => {
      const path = `${part}/config.json`;
      return read(`${folder.name}/${path}`, await readText(folder, path, signal));
    });
  const text = index.parts.has("text_encoder")
    ? await config("text_encoder", (...given) => readTextConfig(index.class, ...given))
    : undefined;
  const unet = await config("unet", readUnetConfig);
  const vae = index.parts.has("vae") ? await config("vae", readVaeConfig) : undefined;
  const look = <Shape>(architecture: string, make: (storage: Storage) => Part<Shape>, shape: Shape) =>
    attempt(() => inspectPart(folder, traits, architecture, make, shape, signal));
  const parts = [
    text && (await look(describeText(text), (as) => textPart(text, as), { texts: textRows, tokens: tokensOf(text) })),
    unet && (await lookAtUnet(unet, index, look, text)),
    vae &&
      (await look(describeVae(vae), (as) => decoderPart(vae, as), {
        height: unet?.side ?? 64,
        width: unet?.side ?? 64,
      })),
  ].filter((part) => part !== undefined);
  // Schedulers, and what contradicts each other; the first of those that the parts have told already.
  if (unsupported.size === 0) await attempt(() => readPipeline(folder, signal));
  return { class: index.class, parts, passedOver: index.passedOver, unsupported: [...unsupported] };
}

type Look = <Shape>(
  architecture: string,
  make: (storage: Storage) => Part<Shape>,
  shape: Shape,
) => Promise<InspectedPart | undefined>;

function lookAtUnet(
  unet: UnetConfig,
  index: ModelIndex,
  look: Look,
  text?: TextConfig,
): Promise<InspectedPart | undefined> {
  const side = unet.side ?? 64;
  const upscales = defaults[index.class].noiseLevel !== undefined;
  const low = index.class.startsWith("IF") ? Math.ceil(side / 4) : side;
  const shape: UnetShape = {
    storage: "f32",
    pictures: 1,
    evaluations: 2,
    height: side,
    width: side,
    tokens: text ? tokensOf(text) : mostTokens,
    ...(upscales && { low: { height: low, width: low } }),
    thresholding: { kind: "none" },
    stochastic: true,
    multistep: false,
  };
  return look(describeUnet(unet), (as) => unetPart(unet, upscales, as), shape);
}

async function inspectPart<Shape>(
  folder: Folder,
  traits: DeviceTraits,
  architecture: string,
  make: (storage: Storage) => Part<Shape>,
  shape: Shape,
  signal?: AbortSignal,
): Promise<InspectedPart> {
  const graph = make(storages.f32).graph(shape);
  const needs = (storage: Storage) => needsOf(make(storage).graph(shape), traits);
  const all = { f32: needs(storages.f32), f16: needs(storages.f16), q8: needs(storages.q8) };
  const { name } = make(storages.f32);
  return {
    name,
    architecture,
    parameters: parameterCount(tensorShapes(graph)),
    flops: all.f32.flops[name === "unet" ? "step" : "request"],
    needs: all,
    checkpoint: await inspectCheckpoint(folder, make(storages.f32), signal),
  };
}

async function inspectCheckpoint<Shape>(
  folder: Folder,
  part: Part<Shape>,
  signal?: AbortSignal,
): Promise<InspectedPart["checkpoint"]> {
  try {
    const whole = await openCheckpoint(subfolder(folder, part.name), signal);
    const checkpoint = selectTensors(whole, part.rename);
    checkCheckpoint(checkpoint, weightsOf(part.graph(part.probe)));
    return { types: [...new Set([...checkpoint.tensors.values()].map(({ dtype }) => dtype))] };
  } catch (error) {
    if (!(error instanceof ReimagenError) || error.code === "aborted") throw error;
    return { problem: error.message };
  }
}

function describeText({ kind, config }: TextConfig): string {
  if (kind === "t5")
    return `T5 v1.1 encoder: ${config.num_layers} layers of ${config.d_model} channels, ${config.num_heads} heads`;
  return `CLIP text encoder: ${config.num_hidden_layers} layers of ${config.hidden_size} channels, ${config.num_attention_heads} heads`;
}

function describeUnet({ down, inputs, outputs, side, classes }: UnetConfig): string {
  const widths = down.map(({ channels }) => channels).join("/");
  const attends = down.map(({ attention }) => (attention.kind === "none" ? "-" : attention.kind)).join("/");
  const told = classes.kind === "none" ? "" : ", told how noisy its smaller picture is";
  return `U-Net of ${widths} channels, attention ${attends}, ${inputs} to ${outputs} channels${side ? ` at ${side}x${side}` : ""}${told}`;
}

function describeVae({ channels, latentChannels }: VaeConfig): string {
  return `autoencoder's decoder of ${channels.toReversed().join("/")} channels, from latents of ${latentChannels}`;
}
