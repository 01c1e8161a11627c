// Statistics of group norm, one workgroup a (sample, group): threads stride over its pixels and columns of four channels. For GPUs; not yet measured on one.
// x [B, P, C], x2 [B, P, C2] continues x. Uniform: C4, D4 (C and C2 in vec4), WIDTH (channels a group). Prelude: THREADS, EPSILON.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> x2: array<x2_4>;

fn load(row: u32, column: u32) -> vec4f {
  if (column < u.C4) { return load_x4(x[row * u.C4 + column]); }
  return load_x2_4(x2[row * u.D4 + column - u.C4]);
}

// 1 for the channels of this group: a column at its edge may hold channels of its neighbour.
fn mask(column: u32, first: u32) -> vec4f {
  let channel = vec4u(0u, 1u, 2u, 3u) + column * 4u;
  return select(vec4f(), vec4f(1.0), (channel >= vec4u(first)) & (channel < vec4u(first + u.WIDTH)));
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  let sample = group.y;
  let pixels = arrayLength(&x) / u.C4 / samples();
  let first = group.x * u.WIDTH;
  let left = first / 4u;
  let columns = (first + u.WIDTH + 3u) / 4u - left;
  var sum = vec4f();
  for (var i = index; i < pixels * columns; i += THREADS) {
    let column = left + i % columns;
    sum += load(sample * pixels + i / columns, column) * mask(column, first);
  }
  let mean = workgroup_sum(dot(sum, vec4f(1.0)), index) / f32(pixels * u.WIDTH);
  var squares = vec4f();
  for (var i = index; i < pixels * columns; i += THREADS) {
    let column = left + i % columns;
    let d = (load(sample * pixels + i / columns, column) - mean) * mask(column, first);
    squares += d * d;
  }
  let rstd = inverseSqrt(workgroup_sum(dot(squares, vec4f(1.0)), index) / f32(pixels * u.WIDTH) + EPSILON);
  for (var i = index; i < u.WIDTH; i += THREADS) { finish(sample, first + i, mean, rstd); }
}
