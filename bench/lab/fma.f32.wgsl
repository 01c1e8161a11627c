// Peak rate of f32 multiply-adds: CHAINS independent chains of vec4 a thread, in named registers, four links a round.
// y [threads]. Uniform: ROUNDS, FACTOR and TERM (bits of f32: nothing can be computed beforehand). Prelude: CHAINS, THREADS, FUSED (`fma`, else `* +`).

@group(0) @binding(0) var<storage, read_write> y: array<f32>;

// Factor and term are scalars, so that they take a register each where a vec4 takes four.
fn link(v: vec4f, factor: f32, term: f32) -> vec4f {
  if (FUSED) { return fma(v, vec4f(factor), vec4f(term)); }
  return v * factor + term;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = bitcast<f32>(u.FACTOR);
  let term = bitcast<f32>(u.TERM);
  let start = vec4f(0.1, 0.2, 0.3, 0.4) + vec4f(f32(id.x % 64u));
  var a = start; var b = start + 0.5; var c = start + 0.6; var d = start + 0.7;
  var e = start + 0.8; var f = start + 0.9; var g = start + 1.1; var h = start + 1.2;
  for (var i = 0u; i < u.ROUNDS; i++) {
    a = link(a, factor, term); b = link(b, factor, term);
    if (CHAINS > 2u) { c = link(c, factor, term); }
    if (CHAINS > 3u) { d = link(d, factor, term); }
    if (CHAINS > 4u) {
      e = link(e, factor, term); f = link(f, factor, term);
      g = link(g, factor, term); h = link(h, factor, term);
    }
    a = link(a, factor, term); b = link(b, factor, term);
    if (CHAINS > 2u) { c = link(c, factor, term); }
    if (CHAINS > 3u) { d = link(d, factor, term); }
    if (CHAINS > 4u) {
      e = link(e, factor, term); f = link(f, factor, term);
      g = link(g, factor, term); h = link(h, factor, term);
    }
    a = link(a, factor, term); b = link(b, factor, term);
    if (CHAINS > 2u) { c = link(c, factor, term); }
    if (CHAINS > 3u) { d = link(d, factor, term); }
    if (CHAINS > 4u) {
      e = link(e, factor, term); f = link(f, factor, term);
      g = link(g, factor, term); h = link(h, factor, term);
    }
    a = link(a, factor, term); b = link(b, factor, term);
    if (CHAINS > 2u) { c = link(c, factor, term); }
    if (CHAINS > 3u) { d = link(d, factor, term); }
    if (CHAINS > 4u) {
      e = link(e, factor, term); f = link(f, factor, term);
      g = link(g, factor, term); h = link(h, factor, term);
    }
  }
  let sum = a + b + c + d + e + f + g + h;
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
