// As `winograd_input.register`, in loops with few places that load or store: each of these takes llvmpipe long to compile, 0.5 s together.
// Prelude and uniform: its. No bound is one that a compiler knows, so that nobody unrolls the loops.

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
  let width = u.W * u.C;
  let start = sample * u.H * width + four * 4u;
  // From one point to the next.
  let size = (u.TILES + 7u) / 8u * u.C * 8u;
  let to = (tile / 8u * fours + four) * 32u + tile % 8u * 4u;
  let six = 6u * u.C / u.C;
  for (var i = 0u; i < six - 2u; i++) {
    // Columns of the tile, one after the other.
    var half: array<f32, 36>;
    for (var n = 0u; n < six; n++) {
      let column = line(left + n, u.W);
      let from_column = start + i + column.at * u.C;
      var d: array<f32, 6>;
      for (var k = 0u; k < six; k++) {
        let row = line(top + k, u.H);
        d[(k + six) % 6u] = x[from_column + row.at * width] * row.mask * column.mask;
      }
      let v = spread(d);
      let at = n * six;
      half[at] = v[0]; half[at + 1u] = v[1]; half[at + 2u] = v[2]; half[at + 3u] = v[3]; half[at + 4u] = v[4]; half[at + 5u] = v[5];
    }
    for (var k = 0u; k < six; k++) {
      var v = spread(array(half[k], half[six + k], half[2u * six + k], half[3u * six + k], half[4u * six + k], half[5u * six + k]));
      for (var n = 0u; n < six; n++) { y[to + i + (6u * k + n) * size] = v[(n + six) % 6u]; }
    }
  }
}
