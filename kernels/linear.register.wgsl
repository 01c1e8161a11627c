// Linear layer, register only: 4 rows x 8 columns a thread, no workgroup memory and no barriers. For software adapters.
// Each step takes 4 values of K: a 4x4 block of w is a matrix, and `w * x` is its share of four outputs.

fn block(at: u32, scale: vec4f) -> mat4x4f {
  return mat4x4f(
    scaled(load_w4(w[at]), scale),
    scaled(load_w4(w[at + u.N4]), scale),
    scaled(load_w4(w[at + 2u * u.N4]), scale),
    scaled(load_w4(w[at + 3u * u.N4]), scale),
  );
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let last = arrayLength(&y) / u.N4 - 1u;
  let row = id.x * 4u;
  let column = id.y * 2u;
  // Rows and columns past the edge repeat the last one; `finish` drops them.
  let a0 = min(row, last) * u.K4;
  let a1 = min(row + 1u, last) * u.K4;
  let a2 = min(row + 2u, last) * u.K4;
  let a3 = min(row + 3u, last) * u.K4;
  var at = column;
  let right = min(column + 1u, u.N4 - 1u) - column;
  var s00 = vec4f(); var s10 = vec4f(); var s20 = vec4f(); var s30 = vec4f();
  var s01 = vec4f(); var s11 = vec4f(); var s21 = vec4f(); var s31 = vec4f();
  var left_scale = vec4f(); var right_scale = vec4f();
  for (var k = 0u; k < u.K4; k++) {
    if (IN_BLOCKS && k % 8u == 0u) {
      left_scale = scale_of(k / 8u, column);
      right_scale = scale_of(k / 8u, column + right);
    }
    let x0 = load_x4(x[a0 + k]);
    let x1 = load_x4(x[a1 + k]);
    let x2 = load_x4(x[a2 + k]);
    let x3 = load_x4(x[a3 + k]);
    let w0 = block(at, left_scale);
    s00 += times(w0, x0); s10 += times(w0, x1); s20 += times(w0, x2); s30 += times(w0, x3);
    let w1 = block(at + right, right_scale);
    s01 += times(w1, x0); s11 += times(w1, x1); s21 += times(w1, x2); s31 += times(w1, x3);
    at += 4u * u.N4;
  }
  finish(row, column, s00); finish(row + 1u, column, s10); finish(row + 2u, column, s20); finish(row + 3u, column, s30);
  finish(row, column + 1u, s01); finish(row + 1u, column + 1u, s11); finish(row + 2u, column + 1u, s21); finish(row + 3u, column + 1u, s31);
}
