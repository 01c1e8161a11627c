// Nearest or bilinear resizing, four channels a thread. For any adapter.
// x [B, IN_H, IN_W, C], y [B, OUT_H, OUT_W, C]. Prelude: those extents, C4 (C in vec4), BILINEAR.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let c = index % C4;
  let pixel = index / C4;
  let row = taps(pixel / OUT_W % OUT_H, IN_H, OUT_H);
  let column = taps(pixel % OUT_W, IN_W, OUT_W);
  let sample = pixel / (OUT_W * OUT_H) * IN_H;
  let top = (sample + row.first) * IN_W;
  var v = load_x4(x[(top + column.first) * C4 + c]);
  if (BILINEAR) {
    let bottom = (sample + row.second) * IN_W;
    v = mix(v, load_x4(x[(top + column.second) * C4 + c]), column.share);
    let w = mix(load_x4(x[(bottom + column.first) * C4 + c]), load_x4(x[(bottom + column.second) * C4 + c]), column.share);
    v = mix(v, w, row.share);
  }
  y[index] = store_y4(v);
}
