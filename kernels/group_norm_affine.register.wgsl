// Statistics of group norm, barrier-free: one thread a (sample, group), column by column of four channels. For software adapters.
// x [B, P, C], x2 [B, P, C2] continues x. Uniform: C4, D4 (C and C2 in vec4), GROUPS, WIDTH (channels a group). Prelude: EPSILON, HAS_X2.
// Small workgroups, as there are few threads: 16 groups of one sample must still reach two cores.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> x2: array<x2_4>;

// Sum over the pixels of four channels. C is a multiple of 4, so no column has channels of both sources.
fn column_sum(sample: u32, pixels: u32, column: u32) -> vec4f {
  var sum = vec4f();
  if (!HAS_X2 || column < u.C4) {
    var at = sample * pixels * u.C4 + column;
    for (var p = 0u; p < pixels; p++) { sum += load_x4(x[at]); at += u.C4; }
  } else {
    var at = sample * pixels * u.D4 + column - u.C4;
    for (var p = 0u; p < pixels; p++) { sum += load_x2_4(x2[at]); at += u.D4; }
  }
  return sum;
}

// Sum of squares about the mean over the pixels of four channels.
fn column_squares(sample: u32, pixels: u32, column: u32, mean: f32) -> vec4f {
  var sum = vec4f();
  if (!HAS_X2 || column < u.C4) {
    var at = sample * pixels * u.C4 + column;
    for (var p = 0u; p < pixels; p++) { let d = load_x4(x[at]) - mean; sum += d * d; at += u.C4; }
  } else {
    var at = sample * pixels * u.D4 + column - u.C4;
    for (var p = 0u; p < pixels; p++) { let d = load_x2_4(x2[at]) - mean; sum += d * d; at += u.D4; }
  }
  return sum;
}

// A column at the edge of a group may hold channels of its neighbour.
fn keep(v: vec4f, column: u32, first: u32) -> f32 {
  if (u.WIDTH % 4u == 0u) { return dot(v, vec4f(1.0)); }
  let channel = vec4u(0u, 1u, 2u, 3u) + column * 4u;
  return dot(v, select(vec4f(), vec4f(1.0), (channel >= vec4u(first)) & (channel < vec4u(first + u.WIDTH))));
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 8u;
  if (index >= samples() * u.GROUPS) { return; }
  let sample = index / u.GROUPS;
  let pixels = arrayLength(&x) / u.C4 / samples();
  let first = (index % u.GROUPS) * u.WIDTH;
  let end = (first + u.WIDTH + 3u) / 4u;
  var sum = 0.0;
  for (var column = first / 4u; column < end; column++) { sum += keep(column_sum(sample, pixels, column), column, first); }
  let mean = sum / f32(pixels * u.WIDTH);
  var squares = 0.0;
  for (var column = first / 4u; column < end; column++) { squares += keep(column_squares(sample, pixels, column, mean), column, first); }
  let rstd = inverseSqrt(squares / f32(pixels * u.WIDTH) + EPSILON);
  for (var channel = first; channel < first + u.WIDTH; channel++) { finish(sample, channel, mean, rstd); }
}
