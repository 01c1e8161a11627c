// Linear layer y = act(x w + b) + r, one output a thread: the definition as a kernel, for f32 tensors of any shape.
// x [M, K], w [K, N], b [N], r [R, N], repeated down y [M, N]. Uniform: K, N, HAS_BIAS, HAS_RESIDUAL. Prelude: ACTIVATION.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> r: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let row = index / u.N;
  let column = index % u.N;
  var sum = 0.0;
  for (var k = 0u; k < u.K; k++) { sum += x[row * u.K + k] * w[k * u.N + column]; }
  if (u.HAS_BIAS != 0u) { sum += b[column]; }
  sum = activate(vec4f(sum), ACTIVATION).x;
  if (u.HAS_RESIDUAL != 0u) { sum += r[index % arrayLength(&r)]; }
  y[index] = sum;
}
