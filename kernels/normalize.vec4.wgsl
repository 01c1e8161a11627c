// Applies a channel-wise affine and an activation, four channels a thread: y = act([x | x2] a + b). For any adapter.
// x [B, P, C], x2 [B, P, C2], affine [B, 2, C + C2], y [B, P, C + C2]. Uniform: C, D (C and C2 in vec4), ACTIVATION. Prelude: HAS_X2.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> x2: array<x2_4>;
@group(0) @binding(2) var<storage, read> affine: array<vec4f>;
@group(0) @binding(3) var<storage, read_write> y: array<y4>;

// Threads lie over columns and pixels, so that no index needs a division; each strides over pixels with its a and b at hand.
@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let n = u.C + u.D;
  let column = id.x;
  let sample = id.z;
  if (column >= n) { return; }
  let a = affine[sample * 2u * n + column];
  let b = affine[(sample * 2u + 1u) * n + column];
  let pixels = arrayLength(&y) / (arrayLength(&affine) / 2u);
  for (var p = id.y; p < pixels; p += groups.y * 8u) {
    let row = sample * pixels + p;
    var v: vec4f;
    if (HAS_X2 && column >= u.C) { v = load_x2_4(x2[row * u.D + column - u.C]); } else { v = load_x4(x[row * u.C + column]); }
    y[row * n + column] = store_y4(activate(v * a + b, u.ACTIVATION));
  }
}
