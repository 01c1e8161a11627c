// Winograd convolution's result, A' m A of the 36 products of a tile (see ops/winograd.ts), and the convolution's epilogue: 4 x 4 pixels of
// four outputs a thread, one after the other, so that places are computed once.
// m [36, TILES, O], b [O] or [B, O], r and y [B, HO, WO, O]. Uniform: HO, WO, O, ROWS, COLUMNS (tiles of a picture), TILES, HAS_BIAS, BIAS_STRIDE,
// HAS_RESIDUAL, SCALE (bits of an f32). Prelude: ACTIVATION.

@group(0) @binding(0) var<storage, read> m: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> r: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// A' of the six products of a column.
fn load_column(at: u32, size: u32) -> vec4f {
  let first = m[at];
  let near = vec2f(m[at + 6u * size], m[at + 12u * size]);
  let far = vec2f(m[at + 18u * size], m[at + 24u * size]);
  let last = m[at + 30u * size];
  let even = vec2f(near.x + near.y, far.x + far.y);
  let odd = vec2f(near.x - near.y, far.x - far.y);
  return vec4f(
    first + even.x + even.y,
    0.75 * odd.x + 1.5 * odd.y,
    0.5625 * even.x + 2.25 * even.y,
    0.421875 * odd.x + 3.375 * odd.y + last,
  );
}

// Four rows of a column of the residual; what lies beyond is not used.
fn residual(at: u32, line: u32) -> vec4f {
  let last = arrayLength(&r) - 1u;
  return vec4f(r[at], r[min(at + line, last)], r[min(at + 2u * line, last)], r[min(at + 3u * line, last)]);
}

fn store(at: u32, line: u32, rows: u32, values: vec4f) {
  let v = values * bitcast<f32>(u.SCALE);
  y[at] = v.x;
  if (rows > 1u) { y[at + line] = v.y; }
  if (rows > 2u) { y[at + 2u * line] = v.z; }
  if (rows > 3u) { y[at + 3u * line] = v.w; }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  let fours = u.O / 4u;
  if (index >= u.TILES * fours) { return; }
  let output = index % fours * 4u;
  let tile = index / fours;
  let sample = tile / (u.ROWS * u.COLUMNS);
  let row = tile / u.COLUMNS % u.ROWS * 4u;
  let column = tile % u.COLUMNS * 4u;
  let size = u.TILES * u.O;
  let line = u.WO * u.O;
  let rows = u.HO - row;
  let end = arrayLength(&y) - 1u;
  let start = ((sample * u.HO + row) * u.WO + column) * u.O + output;
  for (var i = 0u; i < 4u; i++) {
    let at = index * 4u + i;
    let c0 = load_column(at, size);
    let c1 = load_column(at + size, size);
    let c2 = load_column(at + 2u * size, size);
    let c3 = load_column(at + 3u * size, size);
    let c4 = load_column(at + 4u * size, size);
    let c5 = load_column(at + 5u * size, size);
    let even_near = c1 + c2;
    let odd_near = c1 - c2;
    let even_far = c3 + c4;
    let odd_far = c3 - c4;
    let bias = select(0.0, b[min(sample * u.BIAS_STRIDE + output + i, arrayLength(&b) - 1u)], u.HAS_BIAS != 0u);
    // Columns of the tile.
    var columns = array<vec4f, 4>(
      c0 + even_near + even_far + bias,
      0.75 * odd_near + 1.5 * odd_far + bias,
      0.5625 * even_near + 2.25 * even_far + bias,
      0.421875 * odd_near + 3.375 * odd_far + c5 + bias,
    );
    if (ACTIVATION != 0u) {
      for (var j = 0u; j < 4u * min(u.O, 1u); j++) { columns[j] = activate(columns[j], ACTIVATION); }
    }
    let to = start + i;
    if (u.HAS_RESIDUAL != 0u) {
      columns[0] += residual(to, line);
      columns[1] += residual(min(to + u.O, end), line);
      columns[2] += residual(min(to + 2u * u.O, end), line);
      columns[3] += residual(min(to + 3u * u.O, end), line);
    }
    store(to, line, rows, columns[0]);
    if (column + 1u < u.WO) { store(to + u.O, line, rows, columns[1]); }
    if (column + 2u < u.WO) { store(to + 2u * u.O, line, rows, columns[2]); }
    if (column + 3u < u.WO) { store(to + 3u * u.O, line, rows, columns[3]); }
  }
}
