// Sum and activation, y = act(a + b) SCALE, one value a thread; b repeats over a's leading axes. For f32 tensors of any width.
// a and y of one shape, b a trailing part of it. Uniform: ACTIVATION, SCALE (bits of an f32).

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  y[index] = bitcast<f32>(u.SCALE) * activate(vec4f(a[index] + b[index % arrayLength(&b)]), u.ACTIVATION).x;
}
