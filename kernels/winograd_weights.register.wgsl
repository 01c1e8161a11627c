// Winograd convolution's weights, G w G' (see ops/winograd.ts): all 36 points of a channel and an output a thread.
// w [3, 3, C, O], y [36, O / 32, C / 4, 32, 4]: blocks of outputs, as winograd_product reads them; the last block's padding is not written.
// Uniform: C, O.

@group(0) @binding(0) var<storage, read> w: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

fn store(point: u32, channel: u32, output: u32, value: f32) {
  let block = point * ((u.O + 31u) / 32u) + output / 32u;
  y[(block * (u.C / 4u) + channel / 4u) * 128u + output % 32u * 4u + channel % 4u] = value;
}

// Row `row` of the points from three weights.
fn store_row(row: u32, channel: u32, output: u32, g: vec3f) {
  let near = -128.0 / 243.0 * vec2f(g.x + 0.5625 * g.z, 0.75 * g.y);
  let far = 32.0 / 243.0 * vec2f(g.x + 2.25 * g.z, 1.5 * g.y);
  store(6u * row, channel, output, 64.0 / 81.0 * g.x);
  store(6u * row + 1u, channel, output, near.x + near.y);
  store(6u * row + 2u, channel, output, near.x - near.y);
  store(6u * row + 3u, channel, output, far.x + far.y);
  store(6u * row + 4u, channel, output, far.x - far.y);
  store(6u * row + 5u, channel, output, g.z);
}

fn load_row(row: u32, at: u32) -> vec3f {
  let size = u.C * u.O;
  return vec3f(w[3u * row * size + at], w[(3u * row + 1u) * size + at], w[(3u * row + 2u) * size + at]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let at = id.x + id.y * groups.x * 64u;
  if (at >= u.C * u.O) { return; }
  let channel = at / u.O;
  let output = at % u.O;
  let top = load_row(0u, at);
  let middle = load_row(1u, at);
  let bottom = load_row(2u, at);
  let even_near = -128.0 / 243.0 * (top + 0.5625 * bottom);
  let odd_near = -128.0 / 243.0 * 0.75 * middle;
  let even_far = 32.0 / 243.0 * (top + 2.25 * bottom);
  let odd_far = 32.0 / 243.0 * 1.5 * middle;
  var rows = array<vec3f, 6>(
    64.0 / 81.0 * top,
    even_near + odd_near,
    even_near - odd_near,
    even_far + odd_far,
    even_far - odd_far,
    bottom,
  );
  // A loop of which no compiler knows the length: each place that stores takes llvmpipe long to compile.
  let six = 6u * u.O / u.O;
  for (var row = 0u; row < six; row++) { store_row(row, channel, output, rows[row ^ (six - 6u)]); }
}
