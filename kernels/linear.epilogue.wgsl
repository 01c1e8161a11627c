// Operands and epilogue that the vec4 kernels of the linear layer share: bias, activation, residual, and the edge of y.
// x [M, K], w [K, N] (read by `weights.*`), b [N], r [R, N], repeated down y [M, N], K and N multiples of 4. Uniform: K4, N4 (in vec4), HAS_BIAS, HAS_RESIDUAL. Prelude: ACTIVATION.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> w: array<w4>;
@group(0) @binding(2) var<storage, read> b: array<vec4f>;
@group(0) @binding(3) var<storage, read> r: array<r4>;
@group(0) @binding(4) var<storage, read_write> y: array<y4>;

// What 32 rows of w are multiples of, in the vec4 `column`.
fn scale_of(block: u32, column: u32) -> vec4f { return block_scale(4u * u.K4 * u.N4, block * u.N4 + column); }

// Four rows of w by four values, summed in pairs: every kernel does so in this order, whichever of its threads does it, so that a row's result does
// not depend on how many others there are.
fn times(block: mat4x4f, v: vec4f) -> vec4f { return (block[0] * v.x + block[1] * v.y) + (block[2] * v.z + block[3] * v.w); }

fn finish(row: u32, column: u32, sum: vec4f) {
  if (row >= arrayLength(&y) / u.N4 || column >= u.N4) { return; }
  var v = sum;
  if (u.HAS_BIAS != 0u) { v += b[column]; }
  v = activate(v, ACTIVATION);
  if (u.HAS_RESIDUAL != 0u) { v += load_r4(r[(row * u.N4 + column) % arrayLength(&r)]); }
  y[row * u.N4 + column] = store_y4(v);
}
