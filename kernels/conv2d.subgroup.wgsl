// Convolution, subgroup: 4 pixels of a row x 2 LANES channels a thread. For software adapters with subgroups of 4 (SwiftShader) or 8 (llvmpipe).
// Lanes lie over pixels and want the same weights; there a load costs far more than a broadcast, so each lane loads two of the
// block's 2 LANES weight vectors and the lanes hand them round.

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let inputs4 = u.C4 + u.X2_C4;
  let rows = arrayLength(&y) / (u.WO * u.O4);
  let groups_a_row = (u.WO + 3u) / 4u;
  let row = min(id.x / groups_a_row, rows - 1u);
  let column = (id.x % groups_a_row) * 4u;
  let channel = id.y * LANES / 2u;
  // Weight vector i of a block stands at input channel i % 4, output vec4 i / 4: lane i holds vectors i and i + LANES.
  let channel0 = min(channel + lane / 4u, u.O4 - 1u);
  let channel1 = min(channel + (lane + LANES) / 4u, u.O4 - 1u);
  var at0 = (lane % 4u) * u.O4 + channel0;
  var at1 = (lane % 4u) * u.O4 + channel1;
  var scale0 = vec4f(); var scale1 = vec4f();
  var s00 = vec4f(); var s10 = vec4f(); var s20 = vec4f(); var s30 = vec4f();
  var s01 = vec4f(); var s11 = vec4f(); var s21 = vec4f(); var s31 = vec4f();
  var s02 = vec4f(); var s12 = vec4f(); var s22 = vec4f(); var s32 = vec4f();
  var s03 = vec4f(); var s13 = vec4f(); var s23 = vec4f(); var s33 = vec4f();
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
        scale0 = scale_of(four / 8u, channel0);
        scale1 = scale_of(four / 8u, channel1);
      }
      let x0 = load_input(start + p0.x, c) * m0;
      let x1 = load_input(start + p1.x, c) * m1;
      let x2 = load_input(start + p2.x, c) * m2;
      let x3 = load_input(start + p3.x, c) * m3;
      let v0 = scaled(load_w4(w[at0]), scale0);
      let v1 = scaled(load_w4(w[at1]), scale1);
      at0 += 4u * u.O4;
      at1 += 4u * u.O4;
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
  if (id.x / groups_a_row >= rows) { return; }
  // A loop over an array is slow on software adapters but runs once. Neither its bound nor the index is what a compiler could know the length
  // of the loop by: unrolled, it alone takes llvmpipe a second and a half to compile.
  var sums = array<vec4f, 16>(s00, s10, s20, s30, s01, s11, s21, s31, s02, s12, s22, s32, s03, s13, s23, s33);
  let count = 2u * LANES * u.O4 / u.O4;
  let hidden = count - 2u * LANES;
  for (var i = 0u; i < count; i++) {
    if (column + i % 4u < u.WO && channel + i / 4u < u.O4) { finish(row * u.WO + column + i % 4u, channel + i / 4u, sums[i ^ hidden]); }
  }
}
