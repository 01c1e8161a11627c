// As `winograd_output.register`, in loops with few places that load or store: each of these takes llvmpipe long to compile, 0.6 s together.
// Prelude and uniform: its. No bound or index is one that a compiler knows, so that nobody unrolls the loops.

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
  let start = ((sample * u.HO + row) * u.WO + column) * u.O + output;
  let four = 4u * u.O / u.O;
  let hidden = four - 4u;
  for (var i = 0u; i < four; i++) {
    var c: array<vec4f, 6>;
    for (var n = 0u; n < four + 2u; n++) { c[n ^ hidden] = load_column(index * 4u + i + n * size, size); }
    let even_near = c[1] + c[2];
    let odd_near = c[1] - c[2];
    let even_far = c[3] + c[4];
    let odd_far = c[3] - c[4];
    let bias = select(0.0, b[min(sample * u.BIAS_STRIDE + output + i, arrayLength(&b) - 1u)], u.HAS_BIAS != 0u);
    // Columns of the tile.
    var columns = array<vec4f, 4>(
      c[0] + even_near + even_far + bias,
      0.75 * odd_near + 1.5 * odd_far + bias,
      0.5625 * even_near + 2.25 * even_far + bias,
      0.421875 * odd_near + 3.375 * odd_far + c[5] + bias,
    );
    for (var n = 0u; n < min(four, u.WO - column); n++) {
      let values = activate(columns[n ^ hidden], ACTIVATION);
      for (var k = 0u; k < min(four, rows); k++) {
        let to = start + i + n * u.O + k * line;
        var v = values[k];
        if (u.HAS_RESIDUAL != 0u) { v += r[to]; }
        y[to] = v * bitcast<f32>(u.SCALE);
      }
    }
  }
}
