// Channels of a tensor from one on, one value a thread. For f32 tensors of any width.
// x [rows, STRIDE], y [rows, COUNT]. Uniform: FROM, COUNT, STRIDE.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index < arrayLength(&y)) { y[index] = x[index / u.COUNT * u.STRIDE + u.FROM + index % u.COUNT]; }
}
