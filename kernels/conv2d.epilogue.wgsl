// Operands and epilogue that the vec4 kernels of the convolution share: bias, activation, residual.
// x [B, H, W, C], x2 [B, H, W, C2] (further channels, after those of x), w [KH, KW, C + C2, O] (read by `weights.*`), b [O] or [B, O], r and y [B, HO, WO, O];
// channels multiples of 4. With UPSAMPLE 2 the kernel sees each input pixel twice in each direction (nearest).
// Uniform: H, W, C4, X2_C4, HO, WO, O4 (channels in vec4), KH, KW, STRIDE, PADDING, UPSAMPLE, HAS_BIAS, BIAS_STRIDE (channels from one sample's bias
// to the next one's), HAS_RESIDUAL, SCALE (bits of an f32). Prelude: HAS_X2, ACTIVATION.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> x2: array<z4>;
@group(0) @binding(2) var<storage, read> w: array<w4>;
@group(0) @binding(3) var<storage, read> b: array<vec4f>;
@group(0) @binding(4) var<storage, read> r: array<r4>;
@group(0) @binding(5) var<storage, read_write> y: array<y4>;

// Input row or column that tap `tap` of output `o` reads, and whether it lies inside; outside reads 0 and must be masked. UPSAMPLE is 1 or 2:
// a shift, as dividing by what the compiler does not know takes some twenty instructions.
fn source(o: u32, tap: u32, extent: u32) -> vec2u {
  let at = o * u.STRIDE + tap;
  let inside = at >= u.PADDING && at < extent * u.UPSAMPLE + u.PADDING;
  return vec2u(select(0u, (at - u.PADDING) >> (u.UPSAMPLE - 1u), inside), u32(inside));
}

// Four channels of the concatenation of x and x2 at a pixel.
fn load_input(pixel: u32, channel: u32) -> vec4f {
  var v: vec4f;
  if (HAS_X2 && channel >= u.C4) {
    v = load_z4(x2[pixel * u.X2_C4 + channel - u.C4]);
  } else {
    v = load_x4(x[pixel * u.C4 + channel]);
  }
  return v;
}

// What 32 rows of w, all but its outputs counting as one axis, are multiples of, in the vec4 `channel`.
fn scale_of(block: u32, channel: u32) -> vec4f {
  return block_scale(4u * u.KH * u.KW * (u.C4 + u.X2_C4) * u.O4, block * u.O4 + channel);
}

fn finish(pixel: u32, channel: u32, sum: vec4f) {
  var v = sum;
  if (u.HAS_BIAS != 0u) { v += b[pixel / (u.HO * u.WO) * u.BIAS_STRIDE / 4u + channel]; }
  v = activate(v, ACTIVATION);
  if (u.HAS_RESIDUAL != 0u) { v += load_r4(r[pixel * u.O4 + channel]); }
  y[pixel * u.O4 + channel] = store_y4(v * bitcast<f32>(u.SCALE));
}
