// The gate of T5 v1.1's feed-forward layer, y = gelu(a) b, four channels a thread. For any adapter.
// a, b and y of one shape. Prelude: ACTIVATION (gelu).

@group(0) @binding(0) var<storage, read> a: array<a4>;
@group(0) @binding(1) var<storage, read> b: array<b4>;
@group(0) @binding(2) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  y[index] = store_y4(activate(load_a4(a[index]), ACTIVATION) * load_b4(b[index]));
}
