// Convolution by 3 x 3 kernels with a quarter of the products (Winograd, 1980; Lavin & Gray, 2016): F(4 x 4, 3 x 3).
// A tile of 4 x 4 results is A' [(G w G') * (B' x B)] A, with * element by element over 36 points and the sum over channels inside. The points
// are those of Cook and Toom's algorithm, 0, +-3/4, +-3/2 and infinity: with 0, +-1, +-2 the error is twice as large (4.4e-6 and 2.1e-6
// relative at 512 channels, the direct sum's 5e-7). What a transform does in six numbers it does in two dimensions one after the other.

/** Results of a tile in each direction. */
export const TILE = 4;
/** Points in two dimensions. */
export const POINTS = 36;
/** Tiles and outputs of a block, as `winograd_product` takes them; what is beyond the last is padding that nobody reads. */
export const TILE_BLOCK = 8;
export const OUTPUT_BLOCK = 32;

type Matrix = readonly (readonly number[])[];

const [near, far] = [0.75, 1.5];
const [near2, far2] = [near ** 2, far ** 2];
const [atNear, atFar] = [1 / (2 * near2 * (near2 - far2)), 1 / (2 * far2 * (far2 - near2))];

/** G: three weights to six points. */
export const weightMatrix: Matrix = [
  [1 / (near2 * far2), 0, 0],
  [atNear, atNear * near, atNear * near2],
  [atNear, -atNear * near, atNear * near2],
  [atFar, atFar * far, atFar * far2],
  [atFar, -atFar * far, atFar * far2],
  [0, 0, 1],
];

/** B': six pixels to six points. */
export const inputMatrix: Matrix = [
  [near2 * far2, 0, -near2 - far2, 0, 1, 0],
  [0, -near * far2, -far2, near, 1, 0],
  [0, near * far2, -far2, -near, 1, 0],
  [0, -far * near2, -near2, far, 1, 0],
  [0, far * near2, -near2, -far, 1, 0],
  [0, near2 * far2, 0, -near2 - far2, 0, 1],
];

/** A': six points to four results. */
export const outputMatrix: Matrix = [
  [1, 1, 1, 1, 1, 0],
  [0, near, -near, far, -far, 0],
  [0, near2, near2, far2, far2, 0],
  [0, near ** 3, -(near ** 3), far ** 3, -(far ** 3), 1],
];

/** m d m' of a square d, row by row: what a transform does in two dimensions. */
export function inTwoDimensions(m: Matrix, d: (row: number, column: number) => number): number[] {
  const size = m[0]!.length;
  const columns = m.map((weights) =>
    Array.from({ length: size }, (_, column) => weights.reduce((sum, weight, row) => sum + weight * d(row, column), 0)),
  );
  return columns.flatMap((values) =>
    m.map((weights) => weights.reduce((sum, weight, column) => sum + weight * values[column]!, 0)),
  );
}

/** Tiles that cover a result [B, HO, WO, O]: rows and columns of them in a picture, and in all. */
export function tilesOf([batch, height, width]: readonly number[]): { rows: number; columns: number; tiles: number } {
  const [rows, columns] = [Math.ceil(height! / TILE), Math.ceil(width! / TILE)];
  return { rows, columns, tiles: batch! * rows * columns };
}

/** Where row (tile, or output) `i` and channel `c` stand at a point, in blocks of `block` rows by 4 channels. */
export function blockedIndex(
  point: number,
  i: number,
  c: number,
  rows: number,
  channels: number,
  block: number,
): number {
  const at = point * Math.ceil(rows / block) + Math.floor(i / block);
  return (at * (channels / 4) + Math.floor(c / 4)) * block * 4 + (i % block) * 4 + (c % 4);
}
