// Winograd convolution's result, A' m A of the 36 products of a tile (see ops/winograd.ts), and the convolution's epilogue: 4 x 4 pixels of an output a thread.
// m [36, TILES, O], b [O] or [B, O], r and y [B, HO, WO, O]. Uniform: HO, WO, O, ROWS, COLUMNS (tiles of a picture), TILES, HAS_BIAS, BIAS_STRIDE,
// HAS_RESIDUAL, ACTIVATION, SCALE (bits of an f32).

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

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= u.TILES * u.O) { return; }
  let output = index % u.O;
  let tile = index / u.O;
  let sample = tile / (u.ROWS * u.COLUMNS);
  let row = tile / u.COLUMNS % u.ROWS * 4u;
  let column = tile % u.COLUMNS * 4u;
  let size = u.TILES * u.O;
  let c0 = load_column(index, size);
  let c1 = load_column(index + size, size);
  let c2 = load_column(index + 2u * size, size);
  let c3 = load_column(index + 3u * size, size);
  let c4 = load_column(index + 4u * size, size);
  let c5 = load_column(index + 5u * size, size);
  let even_near = c1 + c2;
  let odd_near = c1 - c2;
  let even_far = c3 + c4;
  let odd_far = c3 - c4;
  // Columns of the tile.
  var columns = array<vec4f, 4>(
    c0 + even_near + even_far,
    0.75 * odd_near + 1.5 * odd_far,
    0.5625 * even_near + 2.25 * even_far,
    0.421875 * odd_near + 3.375 * odd_far + c5,
  );
  var bias = 0.0;
  if (u.HAS_BIAS != 0u) { bias = b[sample * u.BIAS_STRIDE + output]; }
  for (var j = 0u; j < min(4u, u.WO - column); j++) {
    let v = activate(columns[j] + bias, u.ACTIVATION);
    for (var i = 0u; i < min(4u, u.HO - row); i++) {
      let at = ((sample * u.HO + row + i) * u.WO + column + j) * u.O + output;
      var value = v[i];
      if (u.HAS_RESIDUAL != 0u) { value += r[at]; }
      y[at] = value * bitcast<f32>(u.SCALE);
    }
  }
}
