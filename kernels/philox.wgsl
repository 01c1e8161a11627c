// Philox 4x32-10 (Salmon et al. 2011): four random words for a counter and a key, shared by every kernel that draws.
// The halves of each multiplier are constants, as WGSL has no 64-bit product.

fn multiply_high(x: u32, high: u32, low: u32) -> u32 {
  let x_low = x & 0xffffu;
  let x_high = x >> 16u;
  let middle = x_high * low + ((x_low * low) >> 16u);
  let carried = x_low * high + (middle & 0xffffu);
  return x_high * high + (middle >> 16u) + (carried >> 16u);
}

fn philox4x32(counter: vec4u, key: vec2u) -> vec4u {
  var c = counter;
  var k = key;
  for (var round = 0u; round < 10u; round++) {
    let high0 = multiply_high(c.x, 0xd251u, 0x1f53u);
    let high1 = multiply_high(c.z, 0xcd9eu, 0x8d57u);
    c = vec4u(high1 ^ c.y ^ k.x, c.z * 0xcd9e8d57u, high0 ^ c.w ^ k.y, c.x * 0xd2511f53u);
    k += vec2u(0x9e3779b9u, 0xbb67ae85u);
  }
  return c;
}
