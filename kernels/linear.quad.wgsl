// Linear layer, quad: 16 rows x 32 columns four threads. For SwiftShader, where loading a value costs far more than multiplying it.
// A thread loads 4 rows of x and, of the four rows of w that these meet in a step, one, which the quad hands round by `quadSwap`, a single
// shuffle; see winograd_product.quad for why operands and sums lie in an array.

// Four values of four rows, in the order in which they meet w; a row of w, 32 columns; the sums, of row r and columns c at 12 + 8 r + c.
var<private> m: array<vec4f, 44>;

fn products(row: u32, v: f32) -> f32 {
  return (v * m[row].x + quadSwapX(v) * m[row].y) + (quadSwapY(v) * m[row].z + quadSwapDiagonal(v) * m[row].w);
}

fn multiply(row: u32, column: u32) {
  let at = 12u + 8u * row + column;
  m[at].x += products(row, m[4u + column].x);
  m[at].y += products(row, m[4u + column].y);
  m[at].z += products(row, m[4u + column].z);
  m[at].w += products(row, m[4u + column].w);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) invocation: u32) {
  let lane = invocation % 4u;
  let last = arrayLength(&y) / u.N4 - 1u;
  // Rows past the edge repeat the last one, and columns past it the block of 32 before it.
  let row = id.x / 4u * 16u + lane;
  let column = min(id.y * 8u, u.N4 - 8u);
  var at0 = min(row, last) * u.K4;
  var at1 = min(row + 4u, last) * u.K4;
  var at2 = min(row + 8u, last) * u.K4;
  var at3 = min(row + 12u, last) * u.K4;
  var weights = lane * u.N4 + column;
  for (var k = 0u; k < u.K4; k++) {
    // Component i is what meets lane ^ i's row of w.
    let x0 = load_x4(x[at0 + k]);
    let even0 = select(x0, x0.yxwz, (lane & 1u) != 0u);
    m[0] = select(even0, even0.zwxy, (lane & 2u) != 0u);
    let x1 = load_x4(x[at1 + k]);
    let even1 = select(x1, x1.yxwz, (lane & 1u) != 0u);
    m[1] = select(even1, even1.zwxy, (lane & 2u) != 0u);
    let x2 = load_x4(x[at2 + k]);
    let even2 = select(x2, x2.yxwz, (lane & 1u) != 0u);
    m[2] = select(even2, even2.zwxy, (lane & 2u) != 0u);
    let x3 = load_x4(x[at3 + k]);
    let even3 = select(x3, x3.yxwz, (lane & 1u) != 0u);
    m[3] = select(even3, even3.zwxy, (lane & 2u) != 0u);
    m[4] = load_w4(w[weights]);
    m[5] = load_w4(w[weights + 1u]);
    m[6] = load_w4(w[weights + 2u]);
    m[7] = load_w4(w[weights + 3u]);
    m[8] = load_w4(w[weights + 4u]);
    m[9] = load_w4(w[weights + 5u]);
    m[10] = load_w4(w[weights + 6u]);
    m[11] = load_w4(w[weights + 7u]);
    weights += 4u * u.N4;
    multiply(0u, 0u); multiply(1u, 0u); multiply(2u, 0u); multiply(3u, 0u);
    multiply(0u, 1u); multiply(1u, 1u); multiply(2u, 1u); multiply(3u, 1u);
    multiply(0u, 2u); multiply(1u, 2u); multiply(2u, 2u); multiply(3u, 2u);
    multiply(0u, 3u); multiply(1u, 3u); multiply(2u, 3u); multiply(3u, 3u);
    multiply(0u, 4u); multiply(1u, 4u); multiply(2u, 4u); multiply(3u, 4u);
    multiply(0u, 5u); multiply(1u, 5u); multiply(2u, 5u); multiply(3u, 5u);
    multiply(0u, 6u); multiply(1u, 6u); multiply(2u, 6u); multiply(3u, 6u);
    multiply(0u, 7u); multiply(1u, 7u); multiply(2u, 7u); multiply(3u, 7u);
  }
  for (var i = 0u; i < 32u * min(u.K4, 1u); i++) { finish(row + i / 8u * 4u, column + i % 8u, m[12u + i]); }
}
