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
    s0 += scaled(times(block, load_x4(x[k])), scale);
    if (rows > 1u) { s1 += scaled(times(block, load_x4(x[u.K4 + k])), scale); }
    if (rows > 2u) { s2 += scaled(times(block, load_x4(x[2u * u.K4 + k])), scale); }
    if (rows > 3u) { s3 += scaled(times(block, load_x4(x[3u * u.K4 + k])), scale); }
  }
  finish(0u, column, s0); finish(1u, column, s1); finish(2u, column, s2); finish(3u, column, s3);
}
