// RMS norm, barrier-free: one thread a row, four channels at a time. For software adapters.
// x and y [rows, D], gamma [D]. Prelude: EPSILON.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> gamma: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let d4 = arrayLength(&gamma);
  let start = (id.x + id.y * groups.x * 8u) * d4;
  if (start >= arrayLength(&y)) { return; }
  var squares = vec4f();
  for (var i = 0u; i < d4; i++) { let v = load_x4(x[start + i]); squares += v * v; }
  let rstd = inverseSqrt(dot(squares, vec4f(1.0)) / f32(d4 * 4u) + EPSILON);
  for (var i = 0u; i < d4; i++) { y[start + i] = store_y4(load_x4(x[start + i]) * rstd * gamma[i]); }
}
