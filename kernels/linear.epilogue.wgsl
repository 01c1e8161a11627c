// Operands and epilogue that the vec4 kernels of the linear layer share: bias, activation, residual, and the edge of y.
// x [M, K], w [K, N], b [N], r and y [M, N], K and N multiples of 4. Prelude: K4, N4 (in vec4), HAS_BIAS, HAS_RESIDUAL.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> w: array<w4>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> r: array<r4>;
@group(0) @binding(4) var<storage, read_write> y: array<y4>;

fn finish(row: u32, column: u32, sum: vec4f) {
  if (row >= arrayLength(&y) / N4 || column >= N4) { return; }
  var v = sum;
  if (HAS_BIAS) { v += b[column]; }
  v = activate(v);
  if (HAS_RESIDUAL) { v += load_r4(r[row * N4 + column]); }
  y[row * N4 + column] = store_y4(v);
}
