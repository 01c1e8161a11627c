// Convolution, subgroup: 4 pixels of a row x 2 LANES channels a thread. For software adapters with subgroups of 4 (SwiftShader) or 8 (llvmpipe).
// Lanes lie over pixels and want the same weights; there a load costs far more than a broadcast, so each lane loads two of the
// block's 2 LANES weight vectors and the lanes hand them round.

const GROUPS_A_ROW = (WO + 3u) / 4u;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let rows = arrayLength(&y) / (WO * O4);
  let row = min(id.x / GROUPS_A_ROW, rows - 1u);
  let column = (id.x % GROUPS_A_ROW) * 4u;
  let channel = id.y * LANES / 2u;
  // Weight vector i of a block stands at input channel i % 4, output vec4 i / 4: lane i holds vectors i and i + LANES.
  var at0 = (lane % 4u) * O4 + min(channel + lane / 4u, O4 - 1u);
  var at1 = (lane % 4u) * O4 + min(channel + (lane + LANES) / 4u, O4 - 1u);
  var s00 = vec4f(); var s10 = vec4f(); var s20 = vec4f(); var s30 = vec4f();
  var s01 = vec4f(); var s11 = vec4f(); var s21 = vec4f(); var s31 = vec4f();
  var s02 = vec4f(); var s12 = vec4f(); var s22 = vec4f(); var s32 = vec4f();
  var s03 = vec4f(); var s13 = vec4f(); var s23 = vec4f(); var s33 = vec4f();
  for (var tap = 0u; tap < KH * KW; tap++) {
    let line = source(row % HO, tap / KW, H);
    let start = (row / HO * H + line.x) * W;
    let p0 = source(column, tap % KW, W);
    let p1 = source(column + 1u, tap % KW, W);
    let p2 = source(column + 2u, tap % KW, W);
    let p3 = source(column + 3u, tap % KW, W);
    let m0 = f32(line.y * p0.y);
    let m1 = f32(line.y * p1.y);
    let m2 = f32(line.y * p2.y);
    let m3 = f32(line.y * p3.y);
    for (var c = 0u; c < INPUTS4; c++) {
      let x0 = load_input(start + p0.x, c) * m0;
      let x1 = load_input(start + p1.x, c) * m1;
      let x2 = load_input(start + p2.x, c) * m2;
      let x3 = load_input(start + p3.x, c) * m3;
      let v0 = load_w4(w[at0]);
      let v1 = load_w4(w[at1]);
      at0 += 4u * O4;
      at1 += 4u * O4;
      let w0 = mat4x4f(subgroupBroadcast(v0, 0u), subgroupBroadcast(v0, 1u), subgroupBroadcast(v0, 2u), subgroupBroadcast(v0, 3u));
      s00 += w0 * x0; s10 += w0 * x1; s20 += w0 * x2; s30 += w0 * x3;
      if (LANES == 4u) {
        let w1 = mat4x4f(subgroupBroadcast(v1, 0u), subgroupBroadcast(v1, 1u), subgroupBroadcast(v1, 2u), subgroupBroadcast(v1, 3u));
        s01 += w1 * x0; s11 += w1 * x1; s21 += w1 * x2; s31 += w1 * x3;
      } else {
        let w1 = mat4x4f(subgroupBroadcast(v0, 4u), subgroupBroadcast(v0, 5u), subgroupBroadcast(v0, 6u), subgroupBroadcast(v0, 7u));
        s01 += w1 * x0; s11 += w1 * x1; s21 += w1 * x2; s31 += w1 * x3;
        let w2 = mat4x4f(subgroupBroadcast(v1, 0u), subgroupBroadcast(v1, 1u), subgroupBroadcast(v1, 2u), subgroupBroadcast(v1, 3u));
        s02 += w2 * x0; s12 += w2 * x1; s22 += w2 * x2; s32 += w2 * x3;
        let w3 = mat4x4f(subgroupBroadcast(v1, 4u), subgroupBroadcast(v1, 5u), subgroupBroadcast(v1, 6u), subgroupBroadcast(v1, 7u));
        s03 += w3 * x0; s13 += w3 * x1; s23 += w3 * x2; s33 += w3 * x3;
      }
    }
  }
  if (id.x / GROUPS_A_ROW >= rows) { return; }
  let pixel = row * WO + column;
  finish4(pixel, column, channel, s00, s10, s20, s30);
  finish4(pixel, column, channel + 1u, s01, s11, s21, s31);
  if (LANES == 8u) {
    finish4(pixel, column, channel + 2u, s02, s12, s22, s32);
    finish4(pixel, column, channel + 3u, s03, s13, s23, s33);
  }
}

fn finish4(pixel: u32, column: u32, channel: u32, s0: vec4f, s1: vec4f, s2: vec4f, s3: vec4f) {
  if (channel >= O4) { return; }
  finish(pixel, channel, s0);
  if (column + 1u < WO) { finish(pixel + 1u, channel, s1); }
  if (column + 2u < WO) { finish(pixel + 2u, channel, s2); }
  if (column + 3u < WO) { finish(pixel + 3u, channel, s3); }
}
