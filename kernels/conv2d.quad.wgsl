// Convolution, quad: 16 pixels x 32 channels four threads. For SwiftShader, where loading a value costs far more than multiplying it.
// A thread loads four channels of 4 pixels and, of the four rows of w that these meet in a step, one, which the quad hands round by
// `quadSwap`, a single shuffle; see winograd_product.quad for why operands and sums lie in an array.

// Four channels of four pixels, in the order in which they meet w; a row of w, 32 outputs; the sums, of pixel p and outputs o at 12 + 8 p + o.
var<private> m: array<vec4f, 44>;

fn products(pixel: u32, v: f32) -> f32 {
  return (v * m[pixel].x + quadSwapX(v) * m[pixel].y) + (quadSwapY(v) * m[pixel].z + quadSwapDiagonal(v) * m[pixel].w);
}

fn multiply(pixel: u32, output: u32) {
  let at = 12u + 8u * pixel + output;
  m[at].x += products(pixel, m[4u + output].x);
  m[at].y += products(pixel, m[4u + output].y);
  m[at].z += products(pixel, m[4u + output].z);
  m[at].w += products(pixel, m[4u + output].w);
}

// Input pixel that tap `tap` of an output pixel reads, and whether it lies inside.
fn source_pixel(pixel: u32, tap: u32) -> vec2u {
  let row = source(pixel / u.WO % u.HO, tap / u.KW, u.H);
  let column = source(pixel % u.WO, tap % u.KW, u.W);
  return vec2u((pixel / (u.HO * u.WO) * u.H + row.x) * u.W + column.x, row.y * column.y);
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) invocation: u32) {
  let lane = invocation % 4u;
  let last = arrayLength(&y) / u.O4 - 1u;
  // Pixels past the end repeat the last one, and outputs past the edge the block of 32 before it.
  let pixel = id.x / 4u * 16u + lane;
  let output = min(id.y * 8u, u.O4 - 8u);
  var weights = lane * u.O4 + output;
  for (var tap = 0u; tap < u.KH * u.KW; tap++) {
    let p0 = source_pixel(min(pixel, last), tap);
    let p1 = source_pixel(min(pixel + 4u, last), tap);
    let p2 = source_pixel(min(pixel + 8u, last), tap);
    let p3 = source_pixel(min(pixel + 12u, last), tap);
    for (var c = 0u; c < u.C4 + u.X2_C4; c++) {
      // Component i is what meets lane ^ i's row of w.
      let x0 = load_input(p0.x, c) * f32(p0.y);
      let even0 = select(x0, x0.yxwz, (lane & 1u) != 0u);
      m[0] = select(even0, even0.zwxy, (lane & 2u) != 0u);
      let x1 = load_input(p1.x, c) * f32(p1.y);
      let even1 = select(x1, x1.yxwz, (lane & 1u) != 0u);
      m[1] = select(even1, even1.zwxy, (lane & 2u) != 0u);
      let x2 = load_input(p2.x, c) * f32(p2.y);
      let even2 = select(x2, x2.yxwz, (lane & 1u) != 0u);
      m[2] = select(even2, even2.zwxy, (lane & 2u) != 0u);
      let x3 = load_input(p3.x, c) * f32(p3.y);
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
      weights += 4u * u.O4;
      multiply(0u, 0u); multiply(1u, 0u); multiply(2u, 0u); multiply(3u, 0u);
      multiply(0u, 1u); multiply(1u, 1u); multiply(2u, 1u); multiply(3u, 1u);
      multiply(0u, 2u); multiply(1u, 2u); multiply(2u, 2u); multiply(3u, 2u);
      multiply(0u, 3u); multiply(1u, 3u); multiply(2u, 3u); multiply(3u, 3u);
      multiply(0u, 4u); multiply(1u, 4u); multiply(2u, 4u); multiply(3u, 4u);
      multiply(0u, 5u); multiply(1u, 5u); multiply(2u, 5u); multiply(3u, 5u);
      multiply(0u, 6u); multiply(1u, 6u); multiply(2u, 6u); multiply(3u, 6u);
      multiply(0u, 7u); multiply(1u, 7u); multiply(2u, 7u); multiply(3u, 7u);
    }
  }
  for (var i = 0u; i < 32u * min(u.O4, 1u); i++) {
    let at = pixel + i / 8u * 4u;
    if (at <= last) { finish(at, output + i % 8u, m[12u + i]); }
  }
}
