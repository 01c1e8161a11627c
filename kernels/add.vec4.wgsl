// Sum and activation, y = act(a + b) SCALE, four channels a thread; b repeats over a's leading axes. For any adapter.
// a and y of one shape, b a trailing part of it. Uniform: ACTIVATION, SCALE (bits of an f32).

@group(0) @binding(0) var<storage, read> a: array<a4>;
@group(0) @binding(1) var<storage, read> b: array<b4>;
@group(0) @binding(2) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let at = index % arrayLength(&b);
  y[index] = store_y4(bitcast<f32>(u.SCALE) * activate(load_a4(a[index]) + load_b4(b[at]), u.ACTIVATION));
}
