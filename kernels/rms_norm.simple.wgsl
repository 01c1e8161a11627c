// RMS norm y = x / sqrt(mean square + EPSILON) * gamma, one thread a row: the definition as a kernel, for f32 rows of any length.
// x and y [rows, D], gamma [D]. Prelude: EPSILON.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let d = arrayLength(&gamma);
  let start = (id.x + id.y * groups.x * 8u) * d;
  if (start >= arrayLength(&y)) { return; }
  var squares = 0.0;
  for (var i = 0u; i < d; i++) { let v = x[start + i]; squares += v * v; }
  let rstd = inverseSqrt(squares / f32(d) + EPSILON);
  for (var i = 0u; i < d; i++) { y[start + i] = x[start + i] * rstd * gamma[i]; }
}
