// Convolution, register only: 4 pixels of a row x 8 channels a thread, no workgroup memory and no barriers. For software adapters.
// Each step takes 4 input channels of one tap: a 4x4 block of w is a matrix, and `w * x` is its share of four outputs.

fn block(at: u32, scale: vec4f) -> mat4x4f {
  return mat4x4f(
    scaled(load_w4(w[at]), scale),
    scaled(load_w4(w[at + u.O4]), scale),
    scaled(load_w4(w[at + 2u * u.O4]), scale),
    scaled(load_w4(w[at + 3u * u.O4]), scale),
  );
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let inputs4 = u.C4 + u.X2_C4;
  let rows = arrayLength(&y) / (u.WO * u.O4);
  let groups_a_row = (u.WO + 3u) / 4u;
  let row = min(id.x / groups_a_row, rows - 1u);
  let column = (id.x % groups_a_row) * 4u;
  let channel = id.y * 2u;
  let right = min(channel + 1u, u.O4 - 1u) - channel;
  var at = channel;
  var s00 = vec4f(); var s10 = vec4f(); var s20 = vec4f(); var s30 = vec4f();
  var s01 = vec4f(); var s11 = vec4f(); var s21 = vec4f(); var s31 = vec4f();
  var left_scale = vec4f(); var right_scale = vec4f();
  for (var tap = 0u; tap < u.KH * u.KW; tap++) {
    let line = source(row % u.HO, tap / u.KW, u.H);
    let start = (row / u.HO * u.H + line.x) * u.W;
    let p0 = source(column, tap % u.KW, u.W);
    let p1 = source(column + 1u, tap % u.KW, u.W);
    let p2 = source(column + 2u, tap % u.KW, u.W);
    let p3 = source(column + 3u, tap % u.KW, u.W);
    let m0 = f32(line.y * p0.y);
    let m1 = f32(line.y * p1.y);
    let m2 = f32(line.y * p2.y);
    let m3 = f32(line.y * p3.y);
    for (var c = 0u; c < inputs4; c++) {
      let four = tap * inputs4 + c;
      if (IN_BLOCKS && four % 8u == 0u) {
        left_scale = scale_of(four / 8u, channel);
        right_scale = scale_of(four / 8u, channel + right);
      }
      let x0 = load_input(start + p0.x, c) * m0;
      let x1 = load_input(start + p1.x, c) * m1;
      let x2 = load_input(start + p2.x, c) * m2;
      let x3 = load_input(start + p3.x, c) * m3;
      let w0 = block(at, left_scale);
      s00 += w0 * x0; s10 += w0 * x1; s20 += w0 * x2; s30 += w0 * x3;
      let w1 = block(at + right, right_scale);
      s01 += w1 * x0; s11 += w1 * x1; s21 += w1 * x2; s31 += w1 * x3;
      at += 4u * u.O4;
    }
  }
  if (id.x / groups_a_row >= rows) { return; }
  let pixel = row * u.WO + column;
  let second = channel + 1u < u.O4;
  finish(pixel, channel, s00);
  if (second) { finish(pixel, channel + 1u, s01); }
  if (column + 1u < u.WO) { finish(pixel + 1u, channel, s10); if (second) { finish(pixel + 1u, channel + 1u, s11); } }
  if (column + 2u < u.WO) { finish(pixel + 2u, channel, s20); if (second) { finish(pixel + 2u, channel + 1u, s21); } }
  if (column + 3u < u.WO) { finish(pixel + 3u, channel, s30); if (second) { finish(pixel + 3u, channel + 1u, s31); } }
}
