// Linear layer for at most 4 rows: lanes lie over columns, so every weight is read once. For any adapter (time embedding, FiLM, pooled text).

@compute @workgroup_size(1, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let column = id.y;
  if (column >= u.N4) { return; }
  let rows = arrayLength(&y) / u.N4;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  var at = column;
  var scale = vec4f();
  for (var k = 0u; k < u.K4; k++) {
    if (IN_BLOCKS && k % 8u == 0u) { scale = scale_of(k / 8u, column); }
    let block = mat4x4f(load_w4(w[at]), load_w4(w[at + u.N4]), load_w4(w[at + 2u * u.N4]), load_w4(w[at + 3u * u.N4]));
    at += 4u * u.N4;
    // As below, a place that loads, not four.
    for (var row = 0u; row < rows; row++) {
      let sum = scaled(times(block, load_x4(x[row * u.K4 + k])), scale);
      s0 += select(vec4f(), sum, row == 0u);
      s1 += select(vec4f(), sum, row == 1u);
      s2 += select(vec4f(), sum, row == 2u);
      s3 += select(vec4f(), sum, row == 3u);
    }
  }
  // One epilogue in a loop, and no array of its length: llvmpipe would unroll the loop, and compile for half a second.
  for (var row = 0u; row < rows; row++) {
    finish(row, column, select(select(s0, s1, row == 1u), select(s2, s3, row == 3u), row > 1u));
  }
}
