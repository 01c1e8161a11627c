// Applies a channel-wise affine and an activation, one value a thread: the definition as a kernel, for f32 tensors of any width.
// x [B, P, C], x2 [B, P, C2], affine [B, 2, C + C2], y [B, P, C + C2]. Uniform: C, D (C2). Prelude: ACTIVATION.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x2: array<f32>;
@group(0) @binding(2) var<storage, read> affine: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let n = u.C + u.D;
  let row = index / n;
  let channel = index % n;
  let sample = row / (arrayLength(&y) / (arrayLength(&affine) / 2u));
  var v: f32;
  if (channel >= u.C) { v = x2[row * u.D + channel - u.C]; } else { v = x[row * u.C + channel]; }
  v = v * affine[sample * 2u * n + channel] + affine[(sample * 2u + 1u) * n + channel];
  y[index] = activate(vec4f(v), ACTIVATION).x;
}
