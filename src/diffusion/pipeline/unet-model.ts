// The U-Nets of public pipelines as the denoising loop takes them, and what a request writes into their inputs.
import type { TensorData } from "../../graph/executor.ts";
import type { GraphBuilder, Value } from "../../graph/graph.ts";
import { concat, embedding } from "../../graph/layers.ts";
import { unet, unetTables } from "../../models/diffusers/unet.ts";
import type { UnetConfig } from "../../models/diffusers/unet_config.ts";
import { slice } from "../../ops/slice.ts";
import type { Conditions } from "../inputs.ts";
import type { DenoisingModel, Evaluated, LoopShape } from "../loop.ts";
import { type Extent, type LowPictures, lowInputs, noisedLow } from "../low.ts";
import { alphaSigma, type DiscreteSchedule } from "../schedule.ts";
import { type NeighborRequest, type NeighborShape, neighborInputs, shownNeighbors } from "./neighbors.ts";

/** What distinguishes the loop of one request from another's. */
export interface UnetShape extends LoopShape {
  /** Of what is denoised. */
  readonly height: number;
  readonly width: number;
  /** Tokens of a text, padding included. */
  readonly tokens: number;
  /** Of the smaller picture. */
  readonly low?: Extent;
  readonly neighbors?: NeighborShape;
  /** Whether this is a tile of what is denoised: then a step is the U-Net's output alone. */
  readonly tile?: boolean;
}

/** Texts that a request encodes besides captions: the prompt, and what stands in its place where the text is left out. */
export const textRows = 2;

/**
 * The model for requests of a shape. Inputs beyond the loop's and `unetTables`', per request: `text` [2, T, D] (prompt, other); where there is a smaller
 * picture those of `noisedLow` and `classes` [B]; where there are neighbours those of `shownNeighbors`. Per step: `time` [1].
 */
export function unetModel(config: UnetConfig, shape: UnetShape): DenoisingModel {
  const { height, width } = shape;
  const channels = config.inputs - (shape.low ? 3 : 0);
  return {
    extent: [height, width, channels],
    visible: channels === 3,
    build(g, x) {
      const sample = shape.low ? concat(g, x, noisedLow(g, shape, shape.low, "bilinear-corners", "after")) : x;
      return answerOf(g, config, shape, unetOutput(g, config, shape, sample));
    },
  };
}

/** All evaluations of samples [N, H, W, inputs]: [evaluations x N, H, W, outputs]. */
export function unetOutput(g: GraphBuilder, config: UnetConfig, shape: UnetShape, sample: Value): Value {
  return unet(g, config, {
    sample: repeated(g, sample, shape),
    time: g.input("time", [1], "step"),
    text: g.input("text", [textRows, shape.tokens, config.text.inputs], "request"),
    ...(config.classes.kind !== "none" && {
      classes: g.input(
        "classes",
        [shape.pictures * shape.evaluations],
        "request",
        config.classes.kind === "table" ? "u32" : "f32",
      ),
    }),
    ...(shape.neighbors && { neighbors: shownNeighbors(g, config, shape.neighbors, shape.tokens) }),
  });
}

/** What the loop makes of them. */
export function answerOf(g: GraphBuilder, config: UnetConfig, shape: UnetShape, output: Value): Evaluated {
  const channels = config.inputs - (shape.low ? 3 : 0);
  if (config.outputs === channels) return { prediction: output };
  // What the evaluation without text says of the variance counts for nothing.
  const conditional = shape.evaluations > 1 ? rowsOf(g, output, shape.pictures, shape.pictures) : output;
  return {
    prediction: g.apply(slice, [output], { from: 0, count: channels }),
    variance: g.apply(slice, [conditional], { from: channels, count: channels }),
  };
}

/** What a request tells the model beside the noise. */
export interface UnetRequest {
  /** [2, T, D] */
  readonly text: Float32Array<ArrayBuffer>;
  readonly seeds: readonly number[];
  /** To be noised to the schedule's time `level`, of which the model is told. */
  readonly low?: {
    readonly pictures: LowPictures;
    readonly schedule: DiscreteSchedule;
    readonly level: number;
  };
  readonly neighbors?: NeighborRequest;
}

/** What is written into its inputs. */
export function unetConditions(
  config: UnetConfig,
  shape: UnetShape,
  { text, seeds, low, neighbors }: UnetRequest,
): Conditions {
  const request = new Map<string, TensorData>([["text", text]]);
  if (low) {
    for (const [name, data] of lowInputs(low.pictures, alphaSigma(low.schedule, low.level), seeds))
      request.set(name, data);
    const levels = new Array<number>(seeds.length * shape.evaluations).fill(low.level);
    request.set("classes", config.classes.kind === "table" ? Uint32Array.from(levels) : Float32Array.from(levels));
  }
  if (neighbors) for (const [name, values] of neighborInputs(neighbors)) request.set(name, values);
  const { levels = [], side = 0, count = 0 } = shape.neighbors ?? {};
  return {
    request,
    step(timestep, shown) {
      const rows = shown.map(({ text, neighbors }) => ({
        row: text ? 0 : 1,
        length: shape.tokens,
        neighbors: neighbors ? count : 0,
      }));
      const others = count > 0 ? { levels, height: side, width: side } : undefined;
      return new Map<string, TensorData>([
        ["time", Float32Array.of(timestep)],
        ...unetTables(config, [shape.height, shape.width], rows, others),
      ]);
    },
  };
}

/** Both evaluations of a picture see the same. */
function repeated(g: GraphBuilder, x: Value, { pictures, evaluations }: UnetShape): Value {
  return evaluations > 1 ? rowsOf(g, x, pictures * evaluations, pictures) : x;
}

function rowsOf(g: GraphBuilder, x: Value, count: number, period: number): Value {
  return embedding(
    g,
    x,
    g.constant(
      Uint32Array.from({ length: count }, (_, i) => i % period),
      [count],
    ),
  );
}
