// Convolution, portable tiled: implicit GEMM, 64 pixels x 64 channels a workgroup through workgroup memory, 4x4 outputs a thread. For GPUs; not yet measured on one.

// 64 pixels x 16 input channels, as vec4 over channels; and 16 input x 64 output channels. One slot of padding a row spreads the banks.
var<workgroup> pixels: array<array<vec4f, 5>, 64>;
var<workgroup> weights: array<array<vec4f, 17>, 16>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  let inputs4 = u.C4 + u.X2_C4;
  let count = arrayLength(&y) / u.O4;
  // 256 threads fetch 256 vec4 of x and 256 of w a step: one each.
  let fetched = min(tile.x * 64u + index / 4u, count - 1u);
  let part = index % 4u;
  let row = fetched / u.WO;
  let wChannel = tile.y * 16u + index % 16u;
  let wInput = index / 16u;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  for (var tap = 0u; tap < u.KH * u.KW; tap++) {
    let line = source(row % u.HO, tap / u.KW, u.H);
    let place = source(fetched % u.WO, tap % u.KW, u.W);
    let pixel = (row / u.HO * u.H + line.x) * u.W + place.x;
    let inside = line.y * place.y == 1u;
    for (var c = 0u; c < inputs4; c += 4u) {
      var xv = vec4f();
      if (inside && c + part < inputs4) { xv = load_input(pixel, c + part); }
      var wv = vec4f();
      if (4u * c + wInput < 4u * inputs4 && wChannel < u.O4) {
        let wRow = tap * 4u * inputs4 + 4u * c + wInput;
        wv = scaled(load_w4(w[wRow * u.O4 + wChannel]), scale_of(wRow / 32u, wChannel));
      }
      pixels[index / 4u][part] = xv;
      weights[wInput][index % 16u] = wv;
      workgroupBarrier();
      for (var i = 0u; i < 4u; i++) {
        let block = mat4x4f(weights[4u * i][local.x], weights[4u * i + 1u][local.x], weights[4u * i + 2u][local.x], weights[4u * i + 3u][local.x]);
        s0 = multiply_add(s0, block, pixels[local.y * 4u][i]);
        s1 = multiply_add(s1, block, pixels[local.y * 4u + 1u][i]);
        s2 = multiply_add(s2, block, pixels[local.y * 4u + 2u][i]);
        s3 = multiply_add(s3, block, pixels[local.y * 4u + 3u][i]);
      }
      workgroupBarrier();
    }
  }
  let pixel = tile.x * 64u + local.y * 4u;
  let channel = tile.y * 16u + local.x;
  if (channel >= u.O4) { return; }
  if (pixel < count) { finish(pixel, channel, s0); }
  if (pixel + 1u < count) { finish(pixel + 1u, channel, s1); }
  if (pixel + 2u < count) { finish(pixel + 2u, channel, s2); }
  if (pixel + 3u < count) { finish(pixel + 3u, channel, s3); }
}
