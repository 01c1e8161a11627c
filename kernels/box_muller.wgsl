// Box-Muller: two random words become two independent standard normals, to about 1e-6 on every adapter.
// WGSL lets log, sin and cos be off by 5e-7 near log(1) and by 5e-4, so both are written out in exactly rounded operations.

// sqrt(-2 ln u) for u = ((word >> 8) + 1) / 2^24 in (0, 1]: u is exact in f32, and so is its mantissa minus one.
fn radius(word: u32) -> f32 {
  let bits = bitcast<u32>(f32((word >> 8u) + 1u));
  // The mantissa's middle is sqrt(2): above it, halve, so that the series runs on [sqrt(1/2), sqrt(2)].
  let halve = select(0u, 1u, (bits & 0x7fffffu) > 0x3504f3u);
  let exponent = i32((bits >> 23u) + halve) - 127 - 24;
  let rest = bitcast<f32>((bits & 0x7fffffu) | ((127u - halve) << 23u)) - 1.0;
  let s = rest / (2.0 + rest);
  let s2 = s * s;
  let series = 2.0 * s * (1.0 + s2 * (1.0 / 3.0 + s2 * (1.0 / 5.0 + s2 * (1.0 / 7.0 + s2 * (1.0 / 9.0)))));
  return sqrt(-2.0 * (f32(exponent) * 0.69314718056 + series));
}

// (cos, sin) of 2 pi (word >> 8) / 2^24: the nearest quarter turn by integers, the rest in [-pi/4, pi/4] by Taylor series.
fn unit_circle(word: u32) -> vec2f {
  let turn = word >> 8u;
  let quarter = (turn + 0x200000u) >> 22u;
  let angle = f32(i32(turn) - i32(quarter << 22u)) * (6.28318530718 / 16777216.0);
  let a2 = angle * angle;
  let sine = angle * (1.0 - a2 / 6.0 * (1.0 - a2 / 20.0 * (1.0 - a2 / 42.0 * (1.0 - a2 / 72.0))));
  let cosine = 1.0 - a2 / 2.0 * (1.0 - a2 / 12.0 * (1.0 - a2 / 30.0 * (1.0 - a2 / 56.0)));
  let swapped = select(vec2f(cosine, sine), vec2f(-sine, cosine), (quarter & 1u) == 1u);
  return select(swapped, -swapped, (quarter & 2u) == 2u);
}

fn box_muller(words: vec2u) -> vec2f {
  return radius(words.x) * unit_circle(words.y);
}
