// Linear layer, portable tiled: a 64x64 tile of y a workgroup through workgroup memory, 4x4 outputs a thread. For GPUs; not yet measured on one.

// 64 rows x 16 of K, as vec4 over K; and 16 of K x 64 columns, as vec4 over columns. One slot of padding a row spreads the banks.
var<workgroup> rows: array<array<vec4f, 5>, 64>;
var<workgroup> columns: array<array<vec4f, 17>, 16>;

@compute @workgroup_size(16, 16)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  let last = arrayLength(&y) / u.N4 - 1u;
  // 256 threads fetch 256 vec4 of x and 256 of w a step: one each.
  let fetchRow = index / 4u;
  let fetchK = index % 4u;
  let xRow = min(tile.x * 64u + fetchRow, last) * u.K4;
  let wColumn = tile.y * 16u + index % 16u;
  let wRow = index / 16u;
  var s0 = vec4f(); var s1 = vec4f(); var s2 = vec4f(); var s3 = vec4f();
  for (var k = 0u; k < u.K4; k += 4u) {
    var xv = vec4f();
    if (k + fetchK < u.K4) { xv = load_x4(x[xRow + k + fetchK]); }
    var wv = vec4f();
    if (k * 4u + wRow < u.K4 * 4u && wColumn < u.N4) {
      let stored = load_w4(w[(k * 4u + wRow) * u.N4 + wColumn]);
      wv = scaled(stored, scale_of((k * 4u + wRow) / 32u, wColumn));
    }
    rows[fetchRow][fetchK] = xv;
    columns[wRow][index % 16u] = wv;
    workgroupBarrier();
    for (var i = 0u; i < 4u; i++) {
      let block = mat4x4f(columns[4u * i][local.x], columns[4u * i + 1u][local.x], columns[4u * i + 2u][local.x], columns[4u * i + 3u][local.x]);
      s0 = multiply_add(s0, block, rows[local.y * 4u][i]);
      s1 = multiply_add(s1, block, rows[local.y * 4u + 1u][i]);
      s2 = multiply_add(s2, block, rows[local.y * 4u + 2u][i]);
      s3 = multiply_add(s3, block, rows[local.y * 4u + 3u][i]);
    }
    workgroupBarrier();
  }
  let row = tile.x * 64u + local.y * 4u;
  let column = tile.y * 16u + local.x;
  finish(row, column, s0); finish(row + 1u, column, s1); finish(row + 2u, column, s2); finish(row + 3u, column, s3);
}
