// Peak rate of subgroup matrices: four accumulators a subgroup, from two left and two right operands that stay in registers.
// One subgroup a workgroup, as the place of a store must be uniform.
// y [subgroups, 4 M N]. Uniform: ROUNDS. Prelude: M, N, K, LANES (a subgroup); aliases Operand and Sum.

var<workgroup> operands: array<Operand, 2u * (M + N) * K>;
@group(0) @binding(0) var<storage, read_write> y: array<Sum>;

@compute @workgroup_size(LANES)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) index: u32) {
  // Small, and not all alike.
  for (var i = index; i < 2u * (M + N) * K; i += LANES) { operands[i] = Operand(f32(i % 13u) * 0.01 - 0.06); }
  workgroupBarrier();
  let left0 = subgroupMatrixLoad<subgroup_matrix_left<Operand, K, M>, row_major>(&operands, 0u, K);
  let left1 = subgroupMatrixLoad<subgroup_matrix_left<Operand, K, M>, row_major>(&operands, M * K, K);
  let right0 = subgroupMatrixLoad<subgroup_matrix_right<Operand, N, K>, row_major>(&operands, 2u * M * K, N);
  let right1 = subgroupMatrixLoad<subgroup_matrix_right<Operand, N, K>, row_major>(&operands, (2u * M + N) * K, N);
  var s00: subgroup_matrix_result<Sum, N, M>;
  var s01: subgroup_matrix_result<Sum, N, M>;
  var s10: subgroup_matrix_result<Sum, N, M>;
  var s11: subgroup_matrix_result<Sum, N, M>;
  for (var i = 0u; i < u.ROUNDS; i++) {
    s00 = subgroupMatrixMultiplyAccumulate(left0, right0, s00);
    s01 = subgroupMatrixMultiplyAccumulate(left0, right1, s01);
    s10 = subgroupMatrixMultiplyAccumulate(left1, right0, s10);
    s11 = subgroupMatrixMultiplyAccumulate(left1, right1, s11);
  }
  let at = group.x * 4u * M * N;
  subgroupMatrixStore<row_major>(&y, at, s00, N);
  subgroupMatrixStore<row_major>(&y, at + M * N, s01, N);
  subgroupMatrixStore<row_major>(&y, at + 2u * M * N, s10, N);
  subgroupMatrixStore<row_major>(&y, at + 3u * M * N, s11, N);
}
