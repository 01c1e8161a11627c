// What will be on the device while a request is drawn, decided before anything is loaded.
import { ReimagenError } from "../../errors.ts";
import type { DeviceTraits } from "../../gpu/traits.ts";
import type { Graph } from "../../graph/graph.ts";
import { checkInteger } from "../range.ts";
import type { PipelineDefinition, TextConfig } from "./definition.ts";
import {
  type PartChoice,
  type PlannedPart,
  planPart,
  type RunningPart,
  type Storage,
  showBytes,
  totalBytes,
} from "./memory.ts";
import { decoderPart, encoderPart, textPart, unetPart } from "./parts.ts";
import { pixelsPerValue } from "./request.ts";
import { tokensOf } from "./text.ts";
import { tiledLoop, tileShape } from "./tiled-unet.ts";
import { type Tiling, tileCount, tilingOf } from "./tiles.ts";
import { textRows, type UnetShape } from "./unet-model.ts";

/** What bounds a plan beside the device's limits. */
export interface Bounds {
  /** Bytes that parts may take on the device together. */
  readonly memory?: number | undefined;
  /** Side of tiles in pixels of the picture, rounded down to what the models can do. */
  readonly tile?: number | undefined;
  /** Whether all parts stay on the device. */
  readonly keep: boolean;
}

/** The parts of a drawing, each as it will run. */
export interface DrawingPlan {
  /** Absent where another pipeline reads the text. */
  readonly text?: RunningPart;
  /** Of neighbours' pictures, where the U-Net draws latents. */
  readonly encoder?: RunningPart;
  readonly unet: RunningPart;
  readonly decoder?: RunningPart;
}

/** How each part is kept. */
export interface Storages {
  readonly text?: { readonly config: TextConfig; readonly storage: Storage } | undefined;
  readonly unet: Storage;
  readonly decoder: Storage | undefined;
}

/** Sides of tiles that are tried, in values of what is denoised or decoded. */
const sides = [512, 384, 256, 192, 128, 96, 64, 48, 32, 24, 16];
/** Less than this shows a model too little of a picture. */
const leastSide = 8;

/** Throws `limit` for what does not fit in any way, `argument` for tiles that are too small. */
export function planDrawing(
  definition: PipelineDefinition,
  shape: UnetShape,
  storages: Storages,
  traits: DeviceTraits,
  bounds: Bounds,
): DrawingPlan {
  const { name, unet: config, vae, noising } = definition;
  const { memory } = bounds;
  const scale = pixelsPerValue({ vae });
  checkTile(bounds.tile, scale);
  const asked = bounds.tile && Math.floor(bounds.tile / scale);
  const tilings = (unit: number) => tilingsOf(shape, unit, asked);
  const { text } = storages;
  const denoising = {
    name: `${name}/unet`,
    storage: storages.unet,
    // A smaller picture tells each tile what belongs there; a prompt alone would draw the whole of it in every tile.
    tilings: noising ? tilings(2 ** (config.down.length - 1)) : [],
    graphs(storage: Storage, tiling: Tiling | undefined): Graph[] {
      const graph = (shape: UnetShape) => unetPart(config, Boolean(noising), storage).graph(shape);
      if (!isCut(tiling)) return [graph(shape)];
      return [graph(tileShape(shape, tiling)), tiledLoop(config, shape, tiling)];
    },
  };
  const decoding = vae &&
    storages.decoder && {
      name: `${name}/vae`,
      storage: storages.decoder,
      tilings: tilings(1),
      graphs: (storage: Storage, { rows, columns }: Tiling = tilings(1)[0]!) => [
        decoderPart(vae, storage).graph({ height: rows.length, width: columns.length }),
      ],
    };
  const { neighbors } = shape;
  const encoding = vae &&
    storages.decoder &&
    neighbors && {
      name: `${name}/vae encoder`,
      storage: storages.decoder,
      tilings: [],
      graphs: (storage: Storage) => [
        encoderPart(vae, storage).graph({ height: neighbors.side, width: neighbors.side }),
      ],
    };
  const plan = {
    ...(text && { text: planPart(textChoice(name, text, textRows + (shape.neighbors?.count ?? 0)), traits, memory) }),
    ...(encoding && { encoder: planPart(encoding, traits, memory) }),
    unet: planPart(denoising, traits, memory),
    ...(decoding && { decoder: planPart(decoding, traits, memory) }),
  };
  checkTogether(name, plan, bounds);
  return plan;
}

/** The text encoder of a pipeline's folder. */
export function textChoice(
  name: string,
  { config, storage }: NonNullable<Storages["text"]>,
  texts: number,
): PartChoice {
  const shape = { texts, tokens: tokensOf(config) };
  const graphs = (storage: Storage) => [textPart(config, storage).graph(shape)];
  return { name: `${name}/text_encoder`, storage, tilings: [], graphs };
}

/** Whether a tiling has more than one tile. */
export function isCut(tiling: Tiling | undefined): tiling is Tiling {
  return tiling !== undefined && tileCount(tiling) > 1;
}

/** The parts in the order in which they run. */
export function plannedParts({ text, encoder, unet, decoder }: DrawingPlan): PlannedPart[] {
  const running = [text, encoder, unet, decoder].filter((part) => part !== undefined);
  return running.map(({ graphs: _, ...part }) => part);
}

/** Tells of tiles that nobody asked for; `scale`: pixels a value. */
export function tileWarnings({ unet, decoder }: DrawingPlan, { tile }: Bounds, scale: number): string[] {
  if (tile !== undefined) return [];
  return [unet, decoder].flatMap((part) => {
    if (!part || !isCut(part.tiling)) return [];
    const side = Math.max(part.tiling.rows.length, part.tiling.columns.length) * scale;
    return [`${part.name} works in tiles of ${side} pixels, as the whole does not fit`];
  });
}

function checkTile(tile: number | undefined, scale: number): void {
  if (tile !== undefined) checkInteger("the side of a tile", tile, leastSide * scale, Number.MAX_SAFE_INTEGER);
}

/** Whole, then ever smaller; or of the side that was asked for. */
function tilingsOf({ height, width }: UnetShape, unit: number, asked: number | undefined): Tiling[] {
  if (asked !== undefined) return [tilingOf(height, width, Math.max(unit, Math.floor(asked / unit) * unit))];
  const larger = Math.max(height, width);
  const smaller = sides.filter((side) => side < larger && side % unit === 0);
  return [larger, ...smaller].map((side) => tilingOf(height, width, side));
}

function checkTogether(name: string, plan: DrawingPlan, { keep, memory }: Bounds): void {
  const parts = plannedParts(plan).map(({ needs }) => totalBytes(needs));
  const sum = parts.reduce((total, bytes) => total + bytes, 0);
  if (!keep || memory === undefined || sum <= memory) return;
  throw new ReimagenError(
    "limit",
    `${name} needs ${showBytes(sum)} to keep all of its parts on the device, and the memory budget is ${showBytes(memory)}; one after the other they need ${showBytes(Math.max(...parts))}`,
  );
}
