// Mean of each 2x2 pixels, four channels a thread. For any adapter.
// x [B, H, W, C], y [B, HO, WO, C]. Uniform: H, W, HO, WO, C (in vec4).

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let pixel = index / u.C;
  let column = pixel % u.WO;
  let row = pixel / u.WO % u.HO;
  let sample = pixel / u.WO / u.HO;
  let at = ((sample * u.H + 2u * row) * u.W + 2u * column) * u.C + index % u.C;
  y[index] = store_y4(0.25 * (load_x4(x[at]) + load_x4(x[at + u.C]) + load_x4(x[at + u.W * u.C]) + load_x4(x[at + u.W * u.C + u.C])));
}
