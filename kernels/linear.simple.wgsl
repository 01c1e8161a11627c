// Linear layer y = act(x w + b) + r, one output a thread: the definition as a kernel, for f32 tensors of any shape.
// x [M, K], w [K, N], b [N], r and y [M, N]. Prelude: K, N, HAS_BIAS, HAS_RESIDUAL, ACTIVATION (0 none, 1 silu, 2 gelu).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> w: array<f32>;
@group(0) @binding(2) var<storage, read> b: array<f32>;
@group(0) @binding(3) var<storage, read> r: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

fn activate(v: f32) -> f32 {
  if (ACTIVATION == 1u) { return v / (1.0 + exp(-v)); }
  if (ACTIVATION == 2u) { return 0.5 * v * (1.0 + tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), -15.0, 15.0))); }
  return v;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let row = index / N;
  let column = index % N;
  var sum = 0.0;
  for (var k = 0u; k < K; k++) { sum += x[row * K + k] * w[k * N + column]; }
  if (HAS_BIAS) { sum += b[column]; }
  sum = activate(sum);
  if (HAS_RESIDUAL) { sum += r[index]; }
  y[index] = sum;
}
