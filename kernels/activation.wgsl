// Activations on four channels; put before kernels whose epilogue has one. Kinds: 0 none, 1 silu, 2 gelu by tanh, 3 gelu by the
// logistic function, 4 gelu itself.

fn activate(v: vec4f, kind: u32) -> vec4f {
  if (kind == 1u) { return v / (1.0 + exp(-v)); }
  if (kind == 2u) { return 0.5 * v * (1.0 + tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), vec4f(-15.0), vec4f(15.0)))); }
  if (kind == 3u) { return v / (1.0 + exp(-1.702 * v)); }
  if (kind == 4u) { return 0.5 * v * (1.0 + erf(0.7071067812 * v)); }
  return v;
}

// Abramowitz & Stegun 7.1.26, within 1.5e-7.
fn erf(x: vec4f) -> vec4f {
  let t = 1.0 / (1.0 + 0.3275911 * abs(x));
  let tail = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429)))) * exp(-x * x);
  return sign(x) * (1.0 - tail);
}
