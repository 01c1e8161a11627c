// The activations that most epilogues have: none (0) and silu (1). `activation.wgsl` knows more, which takes longer to compile.

fn activate(v: vec4f, kind: u32) -> vec4f {
  if (kind == 1u) { return v / (1.0 + exp(-v)); }
  return v;
}
