// The gate of a diffusion transformer's feed-forward layer, y = value gelu(gate), one value a thread: for f32 tensors of any width.
// x [rows, 2 F], values before gates, y [rows, F]. Prelude: ACTIVATION (gelu). Uniform: F.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let value = index + index / u.F * u.F;
  y[index] = x[value] * activate(vec4f(x[value + u.F]), ACTIVATION).x;
}
