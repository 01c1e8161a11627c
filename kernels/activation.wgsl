// Activations on four channels; put before kernels whose epilogue has one. Kinds: 0 none, 1 silu, 2 gelu by tanh.

fn activate(v: vec4f, kind: u32) -> vec4f {
  if (kind == 1u) { return v / (1.0 + exp(-v)); }
  if (kind == 2u) { return 0.5 * v * (1.0 + tanh(clamp(0.7978845608 * (v + 0.044715 * v * v * v), vec4f(-15.0), vec4f(15.0)))); }
  return v;
}
