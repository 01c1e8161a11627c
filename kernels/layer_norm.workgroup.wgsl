// Layer norm, one workgroup a row: threads stride over its channels in fours. For GPUs; not yet measured on one.
// x and y [rows, D], gamma and beta [D]. Prelude: THREADS, EPSILON.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(2) var<storage, read> beta: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(THREADS)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) index: u32,
) {
  let d4 = arrayLength(&gamma);
  let start = (group.x + group.y * groups.x) * d4;
  if (start >= arrayLength(&y)) { return; }
  var sum = vec4f();
  for (var i = index; i < d4; i += THREADS) { sum += load_x4(x[start + i]); }
  let mean = workgroup_sum(dot(sum, vec4f(1.0)), index) / f32(d4 * 4u);
  var squares = vec4f();
  for (var i = index; i < d4; i += THREADS) { let d = load_x4(x[start + i]) - mean; squares += d * d; }
  let rstd = inverseSqrt(workgroup_sum(dot(squares, vec4f(1.0)), index) / f32(d4 * 4u) + EPSILON);
  for (var i = index; i < d4; i += THREADS) { y[start + i] = store_y4((load_x4(x[start + i]) - mean) * rstd * gamma[i] + beta[i]); }
}
