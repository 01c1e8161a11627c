// How a picture too large for one run is cut into overlapping tiles, and how their results become one picture again.
import { tileStart } from "../../ops/blend_tiles.ts";

/** The tiles of one axis, all of one length. */
export interface Axis {
  readonly extent: number;
  /** Of each tile. */
  readonly length: number;
  /** Where each begins; the first at 0, the last where it ends with the axis. */
  readonly starts: readonly number[];
  /** A row a tile, [tiles, extent]: its share of each place, 0 outside of it; the shares of a place make 1. */
  readonly shares: Float32Array<ArrayBuffer>;
}

/** Tiles of a picture: every pair of one of `rows` and one of `columns`. */
export interface Tiling {
  readonly rows: Axis;
  readonly columns: Axis;
}

/** Neighbouring tiles share at least this part of their length. */
const overlap = 1 / 4;

/** Cuts `height` x `width` into tiles of `side`, or of the whole where that is less. */
export function tilingOf(height: number, width: number, side: number): Tiling {
  return { rows: axisOf(height, side), columns: axisOf(width, side) };
}

/** How many tiles there are. */
export function tileCount({ rows, columns }: Tiling): number {
  return rows.starts.length * columns.starts.length;
}

/** The same tiles of the same picture enlarged. */
export function enlargedTiling({ rows, columns }: Tiling, scale: number): Tiling {
  const enlarged = ({ extent, length, starts }: Axis) =>
    axisAt(
      extent * scale,
      length * scale,
      starts.map((start) => start * scale),
    );
  return { rows: enlarged(rows), columns: enlarged(columns) };
}

/** Spreads tiles evenly. */
function axisOf(extent: number, side: number): Axis {
  const length = Math.min(side, extent);
  const shared = Math.ceil(length * overlap);
  const count = length === extent ? 1 : Math.ceil((extent - shared) / (length - shared));
  const starts = Array.from({ length: count }, (_, i) => tileStart(extent, length, count, i));
  return axisAt(extent, length, starts);
}

/** Where tiles overlap, each one's share falls linearly towards its end. */
function axisAt(extent: number, length: number, starts: readonly number[]): Axis {
  const shares = new Float32Array(starts.length * extent);
  for (let place = 0; place < extent; place++) {
    const heights = starts.map((start, i) => {
      const [before, after] = [place - start, start + length - 1 - place];
      if (before < 0 || after < 0) return 0;
      // At the picture's own edge there is no other tile to give way to.
      return Math.min(i > 0 ? before + 0.5 : extent, i < starts.length - 1 ? after + 0.5 : extent);
    });
    const sum = heights.reduce((total, height) => total + height, 0);
    for (const [i, height] of heights.entries()) shares[i * extent + place] = height / sum;
  }
  return { extent, length, starts, shares };
}

/** Values of a picture [height, width, channels] under the tile at (row, column) of the tiling. */
export function cutTile(
  values: Float32Array<ArrayBuffer>,
  { rows, columns }: Tiling,
  row: number,
  column: number,
): Float32Array<ArrayBuffer> {
  const channels = values.length / rows.extent / columns.extent;
  const line = columns.length * channels;
  const tile = new Float32Array(rows.length * line);
  for (let y = 0; y < rows.length; y++) {
    const from = ((rows.starts[row]! + y) * columns.extent + columns.starts[column]!) * channels;
    tile.set(values.subarray(from, from + line), y * line);
  }
  return tile;
}

/** Adds a tile's values, by its share of each place, to a picture [height, width, channels]. */
export function addTile(
  picture: Float32Array,
  tile: Float32Array | Uint32Array,
  { rows, columns }: Tiling,
  row: number,
  column: number,
): void {
  const channels = picture.length / rows.extent / columns.extent;
  for (let y = 0; y < rows.length; y++)
    for (let x = 0; x < columns.length; x++) {
      const [toY, toX] = [rows.starts[row]! + y, columns.starts[column]! + x];
      const share = rows.shares[row * rows.extent + toY]! * columns.shares[column * columns.extent + toX]!;
      for (let channel = 0; channel < channels; channel++)
        picture[(toY * columns.extent + toX) * channels + channel]! +=
          share * tile[(y * columns.length + x) * channels + channel]!;
    }
}
