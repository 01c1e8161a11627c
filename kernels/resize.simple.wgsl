// Nearest or bilinear resizing, one value a thread: for f32 tensors of any width, such as pictures.
// x [B, IN_H, IN_W, C], y [B, OUT_H, OUT_W, C]. Prelude: those extents, C, BILINEAR.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let c = index % C;
  let pixel = index / C;
  let row = taps(pixel / OUT_W % OUT_H, IN_H, OUT_H);
  let column = taps(pixel % OUT_W, IN_W, OUT_W);
  let sample = pixel / (OUT_W * OUT_H) * IN_H;
  let top = (sample + row.first) * IN_W;
  var v = x[(top + column.first) * C + c];
  if (BILINEAR) {
    let bottom = (sample + row.second) * IN_W;
    v = mix(v, x[(top + column.second) * C + c], column.share);
    let w = mix(x[(bottom + column.first) * C + c], x[(bottom + column.second) * C + c], column.share);
    v = mix(v, w, row.share);
  }
  y[index] = v;
}
