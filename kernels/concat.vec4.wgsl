// Two tensors side by side along the last axis, four channels a thread. For any adapter.
// a [rows, C], b [rows, D], y [rows, C + D]. Uniform: C, D (in vec4).

@group(0) @binding(0) var<storage, read> a: array<a4>;
@group(0) @binding(1) var<storage, read> b: array<b4>;
@group(0) @binding(2) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let row = index / (u.C + u.D);
  let column = index % (u.C + u.D);
  var v: vec4f;
  if (column < u.C) { v = load_a4(a[row * u.C + column]); } else { v = load_b4(b[row * u.D + column - u.C]); }
  y[index] = store_y4(v);
}
