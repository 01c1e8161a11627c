// Winograd convolution's input, B' x B of tiles of 6 x 6 pixels that lie 4 apart (see ops/winograd.ts): a tile and four channels a thread, one
// after the other, so that places are computed once. x [B, H, W, C], y [36, TILES / 8, C / 4, 8, 4]: blocks of tiles, as winograd_product
// reads them; the last block's padding is not written. With UPSAMPLE 2 each input pixel is seen twice in each direction.
// Uniform: H, W, C, ROWS, COLUMNS (tiles of a picture), TILES, PADDING, UPSAMPLE.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Input row or column, and 1 where it lies inside; outside it is 0 and must be masked.
struct Line { at: u32, mask: f32 }

fn line(at: u32, extent: u32) -> Line {
  let inside = at >= u.PADDING && at < extent * u.UPSAMPLE + u.PADDING;
  return Line(select(0u, (at - u.PADDING) / u.UPSAMPLE, inside), f32(inside));
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

fn load_column(at: array<u32, 6>, r: array<Line, 6>, column: Line) -> array<f32, 6> {
  let left = column.at * u.C;
  return spread(array(
    x[at[0] + left] * r[0].mask * column.mask,
    x[at[1] + left] * r[1].mask * column.mask,
    x[at[2] + left] * r[2].mask * column.mask,
    x[at[3] + left] * r[3].mask * column.mask,
    x[at[4] + left] * r[4].mask * column.mask,
    x[at[5] + left] * r[5].mask * column.mask,
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
  let fours = u.C / 4u;
  if (index >= u.TILES * fours) { return; }
  let four = index % fours;
  let tile = index / fours;
  let sample = tile / (u.ROWS * u.COLUMNS);
  let top = tile / u.COLUMNS % u.ROWS * 4u;
  let left = tile % u.COLUMNS * 4u;
  let r = array(line(top, u.H), line(top + 1u, u.H), line(top + 2u, u.H), line(top + 3u, u.H), line(top + 4u, u.H), line(top + 5u, u.H));
  let c = array(line(left, u.W), line(left + 1u, u.W), line(left + 2u, u.W), line(left + 3u, u.W), line(left + 4u, u.W), line(left + 5u, u.W));
  let width = u.W * u.C;
  let start = sample * u.H * width + four * 4u;
  // From one point to the next.
  let size = (u.TILES + 7u) / 8u * u.C * 8u;
  let to = (tile / 8u * fours + four) * 32u + tile % 8u * 4u;
  for (var i = 0u; i < 4u; i++) {
    let at = array(
      start + i + r[0].at * width,
      start + i + r[1].at * width,
      start + i + r[2].at * width,
      start + i + r[3].at * width,
      start + i + r[4].at * width,
      start + i + r[5].at * width,
    );
    let c0 = load_column(at, r, c[0]);
    let c1 = load_column(at, r, c[1]);
    let c2 = load_column(at, r, c[2]);
    let c3 = load_column(at, r, c[3]);
    let c4 = load_column(at, r, c[4]);
    let c5 = load_column(at, r, c[5]);
    store_row(to + i, size, array(c0[0], c1[0], c2[0], c3[0], c4[0], c5[0]));
    store_row(to + i + 6u * size, size, array(c0[1], c1[1], c2[1], c3[1], c4[1], c5[1]));
    store_row(to + i + 12u * size, size, array(c0[2], c1[2], c2[2], c3[2], c4[2], c5[2]));
    store_row(to + i + 18u * size, size, array(c0[3], c1[3], c2[3], c3[3], c4[3], c5[3]));
    store_row(to + i + 24u * size, size, array(c0[4], c1[4], c2[4], c3[4], c4[4], c5[4]));
    store_row(to + i + 30u * size, size, array(c0[5], c1[5], c2[5], c3[5], c4[5], c5[5]));
  }
}
