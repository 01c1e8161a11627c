// Channels of a tensor from one on, four a thread. For any adapter.
// x [rows, STRIDE4 vec4], y [rows, COUNT4 vec4]. Uniform: FROM4, COUNT4, STRIDE4.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  y[index] = store_y4(load_x4(x[index / u.COUNT4 * u.STRIDE4 + u.FROM4 + index % u.COUNT4]));
}
