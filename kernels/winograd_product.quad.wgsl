// Winograd convolution's products: at each of 36 points, tiles x channels by channels x outputs; 8 tiles x 32 outputs four threads.
// For software adapters, where loading a value costs far more than multiplying it. The threads of a quad load 2 tiles and 8 outputs each and
// hand the outputs' weights round by `quadSwap`, which is a single shuffle. Operands lie so that one address serves a thread's loads. They
// and the sums are in an array that is also indexed by a variable, which compilers leave in memory: as variables they would be live all at
// once, SwiftShader's 16 registers would be theirs, and every product would go through memory. For the same reason the weights, which are
// needed once, stand left of the tile's value. At 36 x 32 x 256 x 128: SwiftShader 9.6 GFLOP/s (operands as variables: 6.4), llvmpipe 32.
// v [36, TILES / 8, C / 4, 8, 4], w [36, O / 32, C / 4, 32, 4], y [36, TILES, O]. Uniform: C4, O4 (in vec4), TILES.

@group(0) @binding(0) var<storage, read> v: array<vec4f>;
@group(0) @binding(1) var<storage, read> w: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

// Four channels of two tiles, of eight outputs, and the sums: of tile t and outputs o at 10 + 8 t + o.
var<private> m: array<vec4f, 26>;

fn turned(v: f32) -> vec4f { return vec4f(v, quadSwapX(v), quadSwapY(v), quadSwapDiagonal(v)); }

fn multiply(tile: u32, output: u32) {
  var sum = m[10u + 8u * tile + output];
  sum += turned(m[2u + output].x) * m[tile].x;
  sum += turned(m[2u + output].y) * m[tile].y;
  sum += turned(m[2u + output].z) * m[tile].z;
  sum += turned(m[2u + output].w) * m[tile].w;
  m[10u + 8u * tile + output] = sum;
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(subgroup_invocation_id) invocation: u32) {
  let lane = invocation % 4u;
  let rows = (u.TILES + 7u) / 8u;
  let columns = (u.O4 + 7u) / 8u;
  let block = min(id.x / 4u, rows * columns - 1u);
  let row = block % rows;
  let column = block / rows;
  var tiles = (id.y * rows + row) * u.C4 * 8u + lane;
  var weights = (id.y * columns + column) * u.C4 * 32u + lane;
  for (var c = 0u; c < u.C4; c++) {
    m[0] = v[tiles];
    m[1] = v[tiles + 4u];
    m[2] = w[weights];
    m[3] = w[weights + 4u];
    m[4] = w[weights + 8u];
    m[5] = w[weights + 12u];
    m[6] = w[weights + 16u];
    m[7] = w[weights + 20u];
    m[8] = w[weights + 24u];
    m[9] = w[weights + 28u];
    tiles += 8u;
    weights += 32u;
    multiply(0u, 0u); multiply(1u, 0u);
    multiply(0u, 1u); multiply(1u, 1u);
    multiply(0u, 2u); multiply(1u, 2u);
    multiply(0u, 3u); multiply(1u, 3u);
    multiply(0u, 4u); multiply(1u, 4u);
    multiply(0u, 5u); multiply(1u, 5u);
    multiply(0u, 6u); multiply(1u, 6u);
    multiply(0u, 7u); multiply(1u, 7u);
  }
  // Component i of a sum is that of lane ^ i's output.
  let odd = (lane & 1u) != 0u;
  let high = (lane & 2u) != 0u;
  for (var i = 0u; i < 16u * min(u.C4, 1u); i++) {
    let tile = row * 8u + i / 8u * 4u + lane;
    let output = column * 8u + i % 8u;
    if (tile < u.TILES && output < u.O4) {
      let even = select(m[10u + i], m[10u + i].yxwz, odd);
      y[(id.y * u.TILES + tile) * u.O4 + output] = select(even, even.zwxy, high);
    }
  }
}
