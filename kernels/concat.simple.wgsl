// Two tensors side by side along the last axis, one value a thread. For f32 tensors of any width.
// a [rows, C], b [rows, D], y [rows, C + D]. Uniform: C, D.

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let row = index / (u.C + u.D);
  let channel = index % (u.C + u.D);
  if (channel < u.C) { y[index] = a[row * u.C + channel]; } else { y[index] = b[row * u.D + channel - u.C]; }
}
