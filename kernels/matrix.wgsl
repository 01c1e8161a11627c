// Subgroup matrices: the few functions that touch them; put before kernels that multiply by them. Not yet measured on a GPU.
// A left matrix is M x K, a right one K x N, a sum M x N. They are loaded from `lefts` and `rights` (of `operand`) and stored to `sums` (f32),
// which the kernel keeps in workgroup memory, row by row, with LEFT_STRIDE, RIGHT_STRIDE and SUM_STRIDE elements a row. Prelude: M, N, K.

alias Left = subgroup_matrix_left<operand, K, M>;
alias Right = subgroup_matrix_right<operand, N, K>;
alias Sum = subgroup_matrix_result<f32, N, M>;

// Where to load or store is the same for all lanes of a subgroup, which the analysis cannot see.
@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn load_left(at: u32) -> Left { return subgroupMatrixLoad<Left, row_major>(&lefts, at, LEFT_STRIDE); }

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn load_right(at: u32) -> Right { return subgroupMatrixLoad<Right, row_major>(&rights, at, RIGHT_STRIDE); }

// A right matrix whose columns lie in memory as rows.
@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn load_transposed(at: u32) -> Right { return subgroupMatrixLoad<Right, col_major>(&rights, at, RIGHT_STRIDE); }

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn load_sum(at: u32) -> Sum { return subgroupMatrixLoad<Sum, row_major>(&sums, at, SUM_STRIDE); }

@diagnostic(off, chromium.subgroup_matrix_uniformity)
fn store_sum(at: u32, sum: Sum) { subgroupMatrixStore<row_major>(&sums, at, sum, SUM_STRIDE); }

fn multiply_add(left: Left, right: Right, sum: Sum) -> Sum { return subgroupMatrixMultiplyAccumulate(left, right, sum); }
