// Super-resolution of pictures too large for one run of the U-Net: at each step it sees one tile after the other, and its answers become one.

import type { Gpu } from "../../gpu/gpu.ts";
import { compileGraph } from "../../graph/compile.ts";
import { createExecutor, Executor, type ExecutorOptions, type Slice, type TensorData } from "../../graph/executor.ts";
import { type Graph, GraphBuilder, type Stage } from "../../graph/graph.ts";
import { concat } from "../../graph/layers.ts";
import type { UnetConfig } from "../../models/diffusers/unet_config.ts";
import { blendTiles } from "../../ops/blend_tiles.ts";
import { denoisingLoop } from "../loop.ts";
import { noisedLow } from "../low.ts";
import type { Resident } from "../resident.ts";
import { type Tiling, tileCount } from "./tiles.ts";
import { answerOf, type UnetShape, unetModel, unetOutput } from "./unet-model.ts";

/** The shape of a tile of what a shape denoises. */
export function tileShape(shape: UnetShape, { rows, columns }: Tiling): UnetShape {
  return { ...shape, height: rows.length, width: columns.length, tile: true };
}

/** The U-Net on a tile. Inputs beyond the text's and the time's: `tile.x` and, with a smaller picture, `tile.low`, filled on the device. Output: `tile`. */
export function tileOf(config: UnetConfig, shape: UnetShape): Graph {
  const g = new GraphBuilder(shape.storage, shape.weights);
  const { pictures, height, width } = shape;
  const cut = (name: string, channels: number) =>
    g.input(name, [pictures, height, width, channels], "step", "f32", true);
  const x = cut("tile.x", config.inputs - (shape.low ? 3 : 0));
  g.output("tile", unetOutput(g, config, shape, shape.low ? concat(g, x, cut("tile.low", 3)) : x));
  return g.finish();
}

/**
 * The loop around the tiles: guidance, thresholding and the sampler see the whole picture, and so does its noise; the U-Net's answers for the tiles
 * (input `tiles`, filled on the device) are averaged where they overlap, as MultiDiffusion does (Bar-Tal et al., 2023, equation 5), with shares that
 * fall linearly towards a tile's end. Output beyond the loop's: `low.noised`, what tiles of the smaller picture are cut from.
 */
export function tiledLoop(config: UnetConfig, shape: UnetShape, tiling: Tiling): Graph {
  const { rows, columns } = tiling;
  const model = {
    ...unetModel(config, shape),
    build(g: GraphBuilder) {
      if (shape.low) g.output("low.noised", noisedLow(g, shape, shape.low, "bilinear-corners", "after"));
      const batch = shape.pictures * shape.evaluations;
      const extent = [tileCount(tiling), batch, rows.length, columns.length, config.outputs];
      const shares = ({ shares, starts, extent }: Tiling["rows"]) => g.constant(shares, [starts.length, extent]);
      const tiles = g.input("tiles", extent, "step", "f32", true);
      const attributes = { rows: rows.starts.length, columns: columns.starts.length };
      return answerOf(g, config, shape, g.apply(blendTiles, [tiles, shares(rows), shares(columns)], attributes));
    },
  };
  return denoisingLoop(model, shape);
}

/** An executor of the loop, with one of the tiles lent by `resident`. Throws what borrowing throws. */
export async function borrowTiled(
  gpu: Gpu,
  resident: Resident<UnetShape>,
  config: UnetConfig,
  shape: UnetShape,
  tiling: Tiling,
  options: ExecutorOptions,
): Promise<Executor> {
  const tile = await resident.borrow(tileShape(shape, tiling), options);
  try {
    const plan = compileGraph(tiledLoop(config, shape, tiling), gpu.traits);
    return await createExecutor(gpu, plan, new Map(), options, (...given) => new TiledExecutor(tile, tiling, ...given));
  } catch (error) {
    resident.giveBack(tile);
    throw error;
  }
}

/** Gives back what was borrowed, in tiles or not. */
export function giveBack(resident: Resident<UnetShape>, executor: Executor): void {
  const tiled = executor instanceof TiledExecutor;
  resident.giveBack(tiled ? executor.tile : executor);
  if (tiled) executor.dispose();
}

/** Runs the loop; before each step of it another executor, tile by tile. */
class TiledExecutor extends Executor {
  readonly tile: Executor;
  readonly #tiling: Tiling;

  constructor(tile: Executor, tiling: Tiling, ...given: ConstructorParameters<typeof Executor>) {
    super(...given);
    this.tile = tile;
    this.#tiling = tiling;
  }

  override has(name: string): boolean {
    return super.has(name) || this.tile.has(name);
  }

  override write(name: string, data: TensorData): void {
    if (super.has(name)) super.write(name, data);
    else this.tile.write(name, data);
  }

  override get stepRowBytes(): number {
    return super.stepRowBytes + this.tile.stepRowBytes;
  }

  override stepRow(inputs: ReadonlyMap<string, TensorData>): Uint8Array {
    const [own, others] = [new Map<string, TensorData>(), new Map<string, TensorData>()];
    for (const [name, data] of inputs) (super.has(name) ? own : others).set(name, data);
    const row = super.stepRow(own);
    row.set(this.tile.stepRow(others), super.stepRowBytes);
    return row;
  }

  override takeStepRow(encoder: GPUCommandEncoder, rows: GPUBuffer, offset: number): void {
    super.takeStepRow(encoder, rows, offset);
    this.tile.takeStepRow(encoder, rows, offset + super.stepRowBytes);
  }

  override encode(stage: Stage, encoder: GPUCommandEncoder, slice: Slice = {}): void {
    const begins = (slice.from ?? 0) === 0;
    if (begins && stage === "request") this.tile.encode(stage, encoder);
    if (begins && stage === "step") this.#encodeTiles(encoder);
    super.encode(stage, encoder, slice);
  }

  #encodeTiles(encoder: GPUCommandEncoder): void {
    const { rows, columns } = this.#tiling;
    const [answers, answer] = [this.range("tiles"), this.tile.range("tile")];
    let to = answers.offset;
    for (const top of rows.starts)
      for (const left of columns.starts) {
        this.#cut(encoder, "x", "tile.x", top, left);
        if (this.tile.has("tile.low")) this.#cut(encoder, "low.noised", "tile.low", top, left);
        this.tile.encode("step", encoder);
        encoder.copyBufferToBuffer(answer.buffer, answer.offset, answers.buffer, to, answer.size);
        to += answer.size;
      }
  }

  /** Copies a tile's rows out of every picture. */
  #cut(encoder: GPUCommandEncoder, name: string, tileName: string, top: number, left: number): void {
    const { rows, columns } = this.#tiling;
    const [from, to] = [this.range(name), this.tile.range(tileName)];
    const pictures = this.plan.graph.outputs.get("x.next")!.type.shape[0]!;
    const pixel = from.size / pictures / rows.extent / columns.extent;
    for (let picture = 0; picture < pictures; picture++)
      for (let row = 0; row < rows.length; row++) {
        const line = (picture * rows.extent + top + row) * columns.extent + left;
        const place = (picture * rows.length + row) * columns.length;
        const bytes = columns.length * pixel;
        encoder.copyBufferToBuffer(
          from.buffer,
          from.offset + line * pixel,
          to.buffer,
          to.offset + place * pixel,
          bytes,
        );
      }
  }
}
