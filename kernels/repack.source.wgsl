// Rows of a checkpoint's matrix or convolution kernel as they lie in the file, for the kernels that put them in their place.
// source [COUNT, STRIDE = INPUTS TAPS], f32, f16, bf16, or 8-bit codes and behind them for each row the scales of its blocks of 32 inputs, a tap after the other; y [TAPS, INPUTS, OUTPUTS], of which these are the outputs from FIRST on.
// Prelude: KIND (0 f32, 1 f16, 2 bf16, 3 8 bits). Uniform: COUNT, INPUTS, TAPS, OUTPUTS, FIRST.

@group(0) @binding(0) var<storage, read> source: array<u32>;

// Two values of half the size from one word.
fn both(pair: u32) -> vec2f {
  if (KIND == 1u) { return unpack2x16float(pair); }
  return vec2f(bitcast<f32>(pair << 16u), bitcast<f32>(pair & 0xffff0000u));
}

fn value_at(index: u32) -> f32 {
  if (KIND == 0u) { return bitcast<f32>(source[index]); }
  if (KIND == 3u) {
    let stride = u.INPUTS * u.TAPS;
    let block = index / stride * ((stride + 31u) / 32u) + place_of(index % stride) / 32u;
    let scale = unpack2x16float(source[u.COUNT * stride / 4u + block / 2u])[block % 2u];
    return unpack4x8snorm(source[index / 4u])[index % 4u] * scale;
  }
  return both(source[index / 2u])[index % 2u];
}

// Row of y, in outputs, that a column of the source becomes: its tap, then its input.
fn place_of(column: u32) -> u32 { return column % u.TAPS * u.INPUTS + column / u.TAPS; }
