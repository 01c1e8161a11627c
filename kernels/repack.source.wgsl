// Rows of a checkpoint's matrix or convolution kernel as they lie in the file, for the kernels that put them in their place.
// source [COUNT, INPUTS, TAPS], f32, f16 or bf16; y [TAPS, INPUTS, OUTPUTS], of which these are the outputs from FIRST on.
// Uniform: COUNT, INPUTS, TAPS, OUTPUTS, FIRST, KIND (0 f32, 1 f16, 2 bf16).

@group(0) @binding(0) var<storage, read> source: array<u32>;

fn value_at(index: u32) -> f32 {
  if (u.KIND == 0u) { return bitcast<f32>(source[index]); }
  let pair = source[index / 2u];
  if (u.KIND == 1u) { return unpack2x16float(pair)[index % 2u]; }
  return bitcast<f32>(select(pair << 16u, pair & 0xffff0000u, index % 2u == 1u));
}
