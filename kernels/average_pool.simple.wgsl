// Mean of each 2x2 pixels, one value a thread: for f32 tensors of any width.
// x [B, H, W, C], y [B, HO, WO, C]. Uniform: H, W, HO, WO, C.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let pixel = index / u.C;
  let column = pixel % u.WO;
  let row = pixel / u.WO % u.HO;
  let sample = pixel / u.WO / u.HO;
  let at = ((sample * u.H + 2u * row) * u.W + 2u * column) * u.C + index % u.C;
  y[index] = 0.25 * (x[at] + x[at + u.C] + x[at + u.W * u.C] + x[at + u.W * u.C + u.C]);
}
