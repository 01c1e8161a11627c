// Peak rate of f16 multiply-adds: CHAINS independent chains of vec4 a thread, in named registers, four links a round.
// y [threads]. Uniform: ROUNDS, FACTOR and TERM (bits of f32: nothing can be computed beforehand). Prelude: CHAINS, THREADS, FUSED (`fma`, else `* +`).

@group(0) @binding(0) var<storage, read_write> y: array<f32>;

// Factor and term are scalars, so that they take a register each where a vec4 takes four.
fn link(v: vec4h, factor: f16, term: f16) -> vec4h {
  if (FUSED) { return fma(v, vec4h(factor), vec4h(term)); }
  return v * factor + term;
}

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let factor = f16(bitcast<f32>(u.FACTOR));
  let term = f16(bitcast<f32>(u.TERM));
  let start = vec4h(0.1h, 0.2h, 0.3h, 0.4h) + vec4h(f16(id.x % 64u));
  var a = start; var b = start + 0.5h; var c = start + 0.6h; var d = start + 0.7h;
  var e = start + 0.8h; var f = start + 0.9h; var g = start + 1.1h; var h = start + 1.2h;
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
  let sum = vec4f(a + b) + vec4f(c + d) + vec4f(e + f) + vec4f(g + h);
  y[id.x] = sum.x + sum.y + sum.z + sum.w;
}
