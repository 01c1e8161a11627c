// The gate of T5 v1.1's feed-forward layer, y = gelu(a) b, one value a thread: for f32 tensors of any width.
// a, b and y of one shape. Prelude: ACTIVATION (gelu).

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  y[index] = activate(vec4f(a[index]), ACTIVATION).x * b[index];
}
