// Winograd convolution's input, B' x B of tiles of 6 x 6 pixels that lie 4 apart (see ops/winograd.ts): a tile and a channel a thread.
// x [B, H, W, C], y [36, TILES / 8, C / 4, 8, 4]: blocks of tiles, as winograd_product reads them; the last block's padding is not written.
// With UPSAMPLE 2 each input pixel is seen twice in each direction. Uniform: H, W, C, ROWS, COLUMNS (tiles of a picture), TILES, PADDING, UPSAMPLE.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Pixel of the (enlarged) input, or 0 outside; `row` and `column` count from the padding's first.
fn load(sample: u32, row: u32, column: u32, channel: u32) -> f32 {
  let inside = row >= u.PADDING && row < u.H * u.UPSAMPLE + u.PADDING && column >= u.PADDING && column < u.W * u.UPSAMPLE + u.PADDING;
  let top = select(0u, (row - u.PADDING) / u.UPSAMPLE, inside);
  let left = select(0u, (column - u.PADDING) / u.UPSAMPLE, inside);
  return select(0.0, x[((sample * u.H + top) * u.W + left) * u.C + channel], inside);
}

// B' of six values.
fn spread(d: array<f32, 6>) -> array<f32, 6> {
  let even_near = d[4] - 2.25 * d[2];
  let odd_near = 0.75 * d[3] - 1.6875 * d[1];
  let even_far = d[4] - 0.5625 * d[2];
  let odd_far = 1.5 * d[3] - 0.84375 * d[1];
  return array(
    1.265625 * d[0] - 2.8125 * d[2] + d[4],
    even_near + odd_near,
    even_near - odd_near,
    even_far + odd_far,
    even_far - odd_far,
    1.265625 * d[1] - 2.8125 * d[3] + d[5],
  );
}

fn load_column(sample: u32, row: u32, column: u32, channel: u32) -> array<f32, 6> {
  return spread(array(
    load(sample, row, column, channel),
    load(sample, row + 1u, column, channel),
    load(sample, row + 2u, column, channel),
    load(sample, row + 3u, column, channel),
    load(sample, row + 4u, column, channel),
    load(sample, row + 5u, column, channel),
  ));
}

fn store_row(at: u32, size: u32, d: array<f32, 6>) {
  let row = spread(d);
  y[at] = row[0];
  y[at + size] = row[1];
  y[at + 2u * size] = row[2];
  y[at + 3u * size] = row[3];
  y[at + 4u * size] = row[4];
  y[at + 5u * size] = row[5];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= u.TILES * u.C) { return; }
  let channel = index % u.C;
  let tile = index / u.C;
  let sample = tile / (u.ROWS * u.COLUMNS);
  let row = tile / u.COLUMNS % u.ROWS * 4u;
  let column = tile % u.COLUMNS * 4u;
  let c0 = load_column(sample, row, column, channel);
  let c1 = load_column(sample, row, column + 1u, channel);
  let c2 = load_column(sample, row, column + 2u, channel);
  let c3 = load_column(sample, row, column + 3u, channel);
  let c4 = load_column(sample, row, column + 4u, channel);
  let c5 = load_column(sample, row, column + 5u, channel);
  // From one point to the next.
  let size = (u.TILES + 7u) / 8u * u.C * 8u;
  let at = tile / 8u * u.C * 8u + channel / 4u * 32u + tile % 8u * 4u + channel % 4u;
  store_row(at, size, array(c0[0], c1[0], c2[0], c3[0], c4[0], c5[0]));
  store_row(at + 6u * size, size, array(c0[1], c1[1], c2[1], c3[1], c4[1], c5[1]));
  store_row(at + 12u * size, size, array(c0[2], c1[2], c2[2], c3[2], c4[2], c5[2]));
  store_row(at + 18u * size, size, array(c0[3], c1[3], c2[3], c3[3], c4[3], c5[3]));
  store_row(at + 24u * size, size, array(c0[4], c1[4], c2[4], c3[4], c4[4], c5[4]));
  store_row(at + 30u * size, size, array(c0[5], c1[5], c2[5], c3[5], c4[5], c5[5]));
}
