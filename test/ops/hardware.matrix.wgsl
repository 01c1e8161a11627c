// What `kernels/matrix.wgsl` has, for devices without subgroup matrices: each thread of a subgroup does the whole of its work, with M 4,
// N 8 and K 16, so that none passes for another. A mat4x4f holds four rows.

struct Left { k0: mat4x4f, k1: mat4x4f, k2: mat4x4f, k3: mat4x4f }
// Rows of K by the left and the right four columns.
struct Half { k0: mat4x4f, k1: mat4x4f, k2: mat4x4f, k3: mat4x4f }
struct Right { left: Half, right: Half }
struct Sum { left: mat4x4f, right: mat4x4f }

fn four_left(at: u32) -> vec4f { return vec4f(f32(lefts[at]), f32(lefts[at + 1u]), f32(lefts[at + 2u]), f32(lefts[at + 3u])); }
fn four_right(at: u32) -> vec4f { return vec4f(f32(rights[at]), f32(rights[at + 1u]), f32(rights[at + 2u]), f32(rights[at + 3u])); }
fn four_sum(at: u32) -> vec4f { return vec4f(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]); }

fn block_left(at: u32) -> mat4x4f {
  return mat4x4f(four_left(at), four_left(at + LEFT_STRIDE), four_left(at + 2u * LEFT_STRIDE), four_left(at + 3u * LEFT_STRIDE));
}
fn block_right(at: u32) -> mat4x4f {
  return mat4x4f(four_right(at), four_right(at + RIGHT_STRIDE), four_right(at + 2u * RIGHT_STRIDE), four_right(at + 3u * RIGHT_STRIDE));
}
fn block_sum(at: u32) -> mat4x4f {
  return mat4x4f(four_sum(at), four_sum(at + SUM_STRIDE), four_sum(at + 2u * SUM_STRIDE), four_sum(at + 3u * SUM_STRIDE));
}

fn load_left(at: u32) -> Left { return Left(block_left(at), block_left(at + 4u), block_left(at + 8u), block_left(at + 12u)); }

fn half_right(at: u32) -> Half {
  let four = 4u * RIGHT_STRIDE;
  return Half(block_right(at), block_right(at + four), block_right(at + 2u * four), block_right(at + 3u * four));
}
fn load_right(at: u32) -> Right { return Right(half_right(at), half_right(at + 4u)); }

fn half_transposed(at: u32) -> Half {
  return Half(
    transpose(block_right(at)),
    transpose(block_right(at + 4u)),
    transpose(block_right(at + 8u)),
    transpose(block_right(at + 12u)),
  );
}
fn load_transposed(at: u32) -> Right { return Right(half_transposed(at), half_transposed(at + 4u * RIGHT_STRIDE)); }

fn load_sum(at: u32) -> Sum { return Sum(block_sum(at), block_sum(at + 4u)); }

fn store_four(at: u32, v: vec4f) { sums[at] = v.x; sums[at + 1u] = v.y; sums[at + 2u] = v.z; sums[at + 3u] = v.w; }
fn store_block(at: u32, m: mat4x4f) {
  store_four(at, m[0]);
  store_four(at + SUM_STRIDE, m[1]);
  store_four(at + 2u * SUM_STRIDE, m[2]);
  store_four(at + 3u * SUM_STRIDE, m[3]);
}
fn store_sum(at: u32, sum: Sum) {
  store_block(at, sum.left);
  store_block(at + 4u, sum.right);
}

fn multiply_half(left: Left, right: Half, sum: mat4x4f) -> mat4x4f {
  return sum + right.k0 * left.k0 + right.k1 * left.k1 + right.k2 * left.k2 + right.k3 * left.k3;
}
fn multiply_add(left: Left, right: Right, sum: Sum) -> Sum {
  return Sum(multiply_half(left, right.left, sum.left), multiply_half(left, right.right, sum.right));
}
