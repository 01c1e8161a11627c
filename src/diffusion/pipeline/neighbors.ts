// Neighbours of models that were never trained with any: they pass the same U-Net with their captions, hardly noised, and its attentions see what they made of them.
import { ReimagenError } from "../../errors.ts";
import type { Gpu } from "../../gpu/gpu.ts";
import type { ExecutorOptions, TensorData } from "../../graph/executor.ts";
import type { GraphBuilder } from "../../graph/graph.ts";
import { selfAttentionLevels, type UnetNeighbors, unetKeysAndValues } from "../../models/diffusers/unet.ts";
import type { UnetConfig } from "../../models/diffusers/unet_config.ts";
import type { VaeConfig } from "../../models/diffusers/vae_config.ts";
import { checkNeighbors, MAX_NEIGHBORS, type NeighborPicture, uploadNeighbors } from "../neighbors.ts";
import { checkNumber } from "../range.ts";
import type { Resident } from "../resident.ts";
import type { DiscreteSchedule } from "../schedule.ts";
import type { PipelineDefinition } from "./definition.ts";
import { noised, noisingCoefficients } from "./noised.ts";
import type { LatentShape } from "./parts.ts";
import { type PipelineRequest, pixelsPerValue } from "./request.ts";
import { runOnce } from "./run-once.ts";

/** How many neighbours, how large, and who sees them. */
export interface NeighborShape {
  readonly count: number;
  /** Of the square that the U-Net is shown of each. */
  readonly side: number;
  /** Levels of the U-Net whose attentions see them, 0 being the finest. */
  readonly levels: readonly number[];
}

/** What a request tells the model of its neighbours. */
export interface NeighborRequest {
  /** [K, side, side, C], as the U-Net draws them. */
  readonly samples: Float32Array<ArrayBuffer>;
  /** Their captions' states, [K, T, D]. */
  readonly text: Float32Array<ArrayBuffer>;
  readonly schedule: DiscreteSchedule;
  /** To which they are noised, and of which the model is told. */
  readonly time: number;
}

/** Noise of neighbours unless told otherwise: little enough to leave all that can be seen. */
const usualNoise = 0.1;

/**
 * Keys the noise of neighbours apart from any other. It is the same for each and for every seed, so that neither their order nor what else is drawn
 * matters.
 */
const neighborNoise = 2 ** 32 - 2;

/**
 * Which neighbours a request has: as squares of the size that the model was trained on, whatever is drawn, seen by every level that attends to itself but the finest,
 * whose many tokens would cost most. Throws `argument`.
 */
export function decideNeighbors(
  { name, unet, noising }: PipelineDefinition,
  { neighbors = [], neighborLevels }: Pick<PipelineRequest, "neighbors" | "neighborLevels">,
  larger: number,
): NeighborShape | undefined {
  if (neighbors.length === 0) return undefined;
  const fail = (message: string) => new ReimagenError("argument", message);
  if (noising) throw fail(`${name} is an upscaler: neighbours are for the stage that draws its smaller picture`);
  if (neighbors.length > MAX_NEIGHBORS)
    throw fail(`at most ${MAX_NEIGHBORS} neighbours are possible, got ${neighbors.length}`);
  const possible = selfAttentionLevels(unet);
  if (possible.length === 0) throw fail(`the U-Net of ${name} attends to texts alone, so that neighbours cannot join`);
  const coarser = possible.filter((level) => level > 0);
  const levels = neighborLevels
    ? [...new Set(neighborLevels)].sort((a, b) => a - b)
    : coarser.length
      ? coarser
      : possible;
  const stray = levels.find((level) => !possible.includes(level));
  if (levels.length === 0 || stray !== undefined)
    throw fail(`neighbours can join levels ${possible.join(", ")} of ${name}, got ${stray ?? "none"}`);
  return { count: neighbors.length, side: unet.side ?? larger, levels };
}

/** The time of a schedule whose sigma is nearest. Throws `argument` for a sigma outside [0, 1]. */
export function neighborTime({ alphaSquared }: DiscreteSchedule, sigma = usualNoise): number {
  checkNumber("neighbour noise", sigma, 0, 1);
  const off = (square: number) => Math.abs(Math.sqrt(1 - square) - sigma);
  return alphaSquared.reduce((best, square, time) => (off(square) < off(alphaSquared[best]!) ? time : best), 0);
}

/** Pictures as values [K, S, S, 3] in [-1, 1], fitted whole into the square of pixels, on white. Throws what `checkNeighbors` and `uploadNeighbors` throw. */
export async function neighborPixels(
  gpu: Gpu,
  neighbors: readonly NeighborPicture[],
  shape: NeighborShape,
  definition: PipelineDefinition,
): Promise<Float32Array<ArrayBuffer>> {
  await gpu.renew();
  const images = neighbors.map(({ picture }) => picture);
  checkNeighbors(gpu, images);
  const side = shape.side * pixelsPerValue(definition);
  const size = images.length * side * side * 3 * 4;
  const buffer = gpu.allocate("neighbours", size, GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC);
  try {
    await uploadNeighbors(gpu, images, { buffer, offset: 0, size }, side);
    return new Float32Array(await gpu.read(buffer, 0, size));
  } finally {
    gpu.release(buffer);
  }
}

/** Latents [K, side, side, C] of pictures as the U-Net draws them: the mean of what the autoencoder holds possible, one picture after the other. Throws what `runOnce` throws. */
export async function neighborLatents(
  gpu: Gpu,
  encoder: Resident<LatentShape>,
  pixels: Float32Array<ArrayBuffer>,
  { count, side }: NeighborShape,
  { latentChannels, scale, shift }: VaeConfig,
  options: ExecutorOptions,
): Promise<Float32Array<ArrayBuffer>> {
  const shape = { height: side, width: side };
  const [from, to] = [pixels.length / count, side * side * latentChannels];
  const latents = new Float32Array(count * to);
  for (let i = 0; i < count; i++) {
    if (options.signal?.aborted) throw new ReimagenError("aborted", "the generation was aborted");
    const inputs = new Map([["pictures", pixels.slice(i * from, (i + 1) * from)]]);
    const [moments] = await runOnce(gpu, encoder, shape, inputs, ["moments"], options);
    for (let at = 0; at < to; at++) {
      const mean = moments![Math.floor(at / latentChannels) * 2 * latentChannels + (at % latentChannels)]!;
      latents[i * to + at] = (mean - shift) * scale;
    }
  }
  return latents;
}

/** Inputs, per request: `neighbor.samples` [K, side, side, C], `neighbor.coefficients` [8], `neighbor.time` [1], `neighbor.text` [K, T, D]. */
export function shownNeighbors(
  g: GraphBuilder,
  config: UnetConfig,
  { count, side, levels }: NeighborShape,
  tokens: number,
): UnetNeighbors {
  return g.scope("neighbors", () => {
    const clean = g.input("neighbor.samples", [count, side, side, config.inputs], "request");
    const key = Uint32Array.from({ length: 4 * count }, (_, i) => (i % 4 === 2 ? neighborNoise : 0));
    const coefficients = g.input("neighbor.coefficients", [8], "request");
    const inputs = {
      sample: noised(g, clean, g.constant(key, [count, 4]), coefficients),
      time: g.input("neighbor.time", [1], "request"),
      text: g.input("neighbor.text", [count, tokens, config.text.inputs], "request"),
    };
    return { levels, keysAndValues: unetKeysAndValues(g, config, inputs, levels) };
  });
}

/** Values of the inputs that `shownNeighbors` declares. */
export function neighborInputs({ samples, text, schedule, time }: NeighborRequest): Map<string, TensorData> {
  return new Map<string, TensorData>([
    ["neighbor.samples", samples],
    ["neighbor.coefficients", noisingCoefficients(schedule, time)],
    ["neighbor.time", Float32Array.of(time)],
    ["neighbor.text", text],
  ]);
}
