// Which tensors of a folder are worth 8 bits: those that its models' graphs keep so.
import { ReimagenError } from "../../errors.ts";
import { type Graph, weightsOf } from "../../graph/graph.ts";
import { openCheckpoint, selectTensors } from "../../io/checkpoint.ts";
import { type Folder, readText, subfolder } from "../../io/folder.ts";
import { hasQuantized } from "../../io/quantized.ts";
import { readConfig } from "../../models/config.ts";
import { readUnetConfig } from "../../models/diffusers/unet_config.ts";
import { quantizedTensors } from "../../models/quantize.ts";
import { checkCheckpoint } from "../../models/weights.ts";
import { denoisingLoop } from "../loop.ts";
import { type ReimagenShape, reimagenModel, textRows } from "../reimagen.ts";
import { readPipeline, readTextConfig } from "./definition.ts";
import { type Part, textPart, unetPart } from "./parts.ts";

/** A component whose checkpoint can be brought to 8 bits. */
export interface Quantizable {
  /** Its folder within the whole; empty where it is the whole. */
  readonly path: string;
  /** Its matrices and convolution kernels. */
  readonly tensors: ReadonlySet<string>;
}

const as = { activations: "f32", weights: "q8" } as const;

/**
 * The components of a pipeline as diffusers saves it (its decoder has few weights and stays as it is), or of the folder of one model: a U-Net, a
 * text encoder, or a Re-Imagen. Throws `config`, `checkpoint`, `tensor`, `dtype` for what could not be drawn with either, `argument` for what is in 8 bits already.
 */
export async function quantizables(folder: Folder, signal?: AbortSignal): Promise<Quantizable[]> {
  if (!(await folder.open("model_index.json", signal))) return [await alone(folder, signal)];
  const { text, unet, noising } = await readPipeline(folder, signal);
  const within = (part: Pick<Part<unknown>, "name" | "rename">, graph: Graph) =>
    component(subfolder(folder, part.name), part.name, graph, part.rename, signal);
  const parts: Quantizable[] = [];
  if (text) parts.push(await within(textPart(text, as), probed(textPart(text, as))));
  const unetOf = unetPart(unet, Boolean(noising), as);
  parts.push(await within(unetOf, probed(unetOf)));
  return parts;
}

async function alone(folder: Folder, signal?: AbortSignal): Promise<Quantizable> {
  const name = `${folder.name}/config.json`;
  const text = await readText(folder, "config.json", signal);
  const { _class_name: kind, architecture, model_type: type } = keysOf(name, text);
  if (kind === "UNet2DConditionModel") {
    const config = readUnetConfig(name, text);
    return component(
      folder,
      "",
      probed(unetPart(config, config.classes.kind !== "none", as)),
      (tensor) => tensor,
      signal,
    );
  }
  if (architecture === "reimagen") return component(folder, "", reimagenGraph(name, text), (tensor) => tensor, signal);
  if (type === "t5" || type === "clip_text_model") {
    const part = textPart(readTextConfig(type === "t5" ? "IFPipeline" : "StableDiffusionPipeline", name, text), as);
    return component(folder, "", probed(part), part.rename, signal);
  }
  throw new ReimagenError(
    "config",
    `${name}: only a UNet2DConditionModel, a T5 or CLIP text encoder or a reimagen can be quantized, or a pipeline's folder with its model_index.json`,
  );
}

const probed = <Shape>(part: Part<Shape>): Graph => part.graph(part.probe);

function reimagenGraph(name: string, text: string): Graph {
  const shape: ReimagenShape = {
    storage: as.activations,
    weights: as.weights,
    pictures: 1,
    evaluations: 2,
    texts: textRows,
    neighbors: 1,
    thresholding: { kind: "none" },
    stochastic: false,
    multistep: false,
  };
  return denoisingLoop(reimagenModel(readConfig(name, text), shape), shape);
}

async function component(
  folder: Folder,
  path: string,
  graph: Graph,
  rename: (tensor: string) => string | undefined,
  signal?: AbortSignal,
): Promise<Quantizable> {
  const checkpoint = selectTensors(await openCheckpoint(folder, signal), rename);
  checkCheckpoint(checkpoint, weightsOf(graph));
  if (hasQuantized(checkpoint)) throw new ReimagenError("argument", `${folder.name} is in 8 bits already`);
  return { path, tensors: quantizedTensors(graph) };
}

function keysOf(name: string, text: string): Record<string, unknown> {
  try {
    return Object(JSON.parse(text)) as Record<string, unknown>;
  } catch (cause) {
    throw new ReimagenError("config", `${name} is not JSON: ${(cause as Error).message}`, { cause });
  }
}
