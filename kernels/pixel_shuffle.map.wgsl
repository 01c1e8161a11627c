// Where a value of a pixel (un)shuffle comes from; shared by its kernels. Channel order as in PyTorch: c R R + i R + j.
// Wide [B, H R, W R, C] has the pixels, deep [B, H, W, C R R] has them as channels. Prelude: W, C, R, SHUFFLE (deep to wide, or back).

fn deep_of(wide: u32) -> u32 {
  let c = wide % C;
  let column = wide / C % (W * R);
  let row = wide / (C * W * R);
  // Samples stay apart, as H R rows make up one: `row / R` counts the rows of all samples.
  return (row / R * W + column / R) * (C * R * R) + c * R * R + row % R * R + column % R;
}

fn wide_of(deep: u32) -> u32 {
  let channel = deep % (C * R * R);
  let column = deep / (C * R * R) % W;
  let row = deep / (C * R * R * W);
  return ((row * R + channel / R % R) * W * R + column * R + channel % R) * C + channel / (R * R);
}

fn source(index: u32) -> u32 {
  if (SHUFFLE) { return deep_of(index); }
  return wide_of(index);
}
