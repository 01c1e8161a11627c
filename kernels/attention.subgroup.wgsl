// Attention with online softmax (Milakov & Gimelshein, 2018), subgroup: four queries a lane, 64 keys a block. For software adapters with
// subgroups of 4 or 8: as in the convolution, lanes load different tokens and hand them round, so that a load serves all lanes' queries.
// Scores of a block and sums lie in arrays, which are slow there and are therefore touched once a block or once in 32 products.
// D a multiple of 4, at most 512. Prelude: D, LANES.

const NOTHING = -3.0e38;
const lanes4 = vec4u(0u, 1u, 2u, 3u);

// One way out: an early return in here costs an eighth of the kernel's time on SwiftShader.
fn segment_vec4(segment: u32, at: u32) -> vec4f {
  var v: vec4f;
  if (segment == 0u) { v = load_s4(s0[at]); } else if (segment == 1u) { v = load_s4(s1[at]); } else { v = load_s4(s2[at]); }
  return v;
}

// The vectors of lanes 0 to 3, or 4 to 7, as columns in every lane.
fn spread(v: vec4f) -> mat4x4f {
  return mat4x4f(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u));
}
fn spread_upper(v: vec4f) -> mat4x4f {
  return mat4x4f(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u));
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let sample = tile.z;
  let head = tile.y;
  // Queries past the last repeat it; they are not stored.
  let query = min(id.x * 4u + lanes4, vec4u(u.QUERIES - 1u));
  let own = ((sample * u.QUERIES + query) * u.Q_STRIDE + u.Q_OFFSET + head * D) / 4u;
  // The time to the first picture on llvmpipe was mostly this kernel's compiling. So no loop has a bound or an array that tells how often it
  // turns (not even by `min`), which would be unrolled; and few places load or store, as each is compiled for every lane and component.
  let depth = u.D4;
  let scale = bitcast<f32>(u.SCALE);
  var scores: array<vec4f, 64>;
  var sums: array<vec4f, D>;
  var most = vec4f(NOTHING);
  var total = vec4f();
  for (var segment = 0u; segment < u.SEGMENTS; segment++) {
    let count = seen_count(segment, sample, tile.x * 32u + 32u);
    for (var block = 0u; block < count; block += 64u) {
      let causal = u.CAUSAL != 0u && segment == 0u;
      let steps = (min(count - block, 64u) + 7u) / 8u;
      // Scores of 8 keys a step: two vec4 a query.
      var peak = most;
      for (var step = 0u; step < steps; step++) {
        let token = block + step * 8u;
        let offset = key_offset(segment) + head * D;
        let low = (token_start(segment, sample, min(token + lane, count - 1u)) + offset) / 4u;
        let high = (token_start(segment, sample, min(token + lane + 4u, count - 1u)) + offset) / 4u;
        var l0 = vec4f(); var l1 = vec4f(); var l2 = vec4f(); var l3 = vec4f();
        var h0 = vec4f(); var h1 = vec4f(); var h2 = vec4f(); var h3 = vec4f();
        for (var d = 0u; d < depth; d++) {
          let x0 = load_q4(q[own.x + d]);
          let x1 = load_q4(q[own.y + d]);
          let x2 = load_q4(q[own.z + d]);
          let x3 = load_q4(q[own.w + d]);
          let k = segment_vec4(segment, low + d);
          let first = spread(k);
          l0 += x0 * first; l1 += x1 * first; l2 += x2 * first; l3 += x3 * first;
          if (LANES == 8u) {
            let second = spread_upper(k);
            h0 += x0 * second; h1 += x1 * second; h2 += x2 * second; h3 += x3 * second;
          } else {
            let second = spread(segment_vec4(segment, high + d));
            h0 += x0 * second; h1 += x1 * second; h2 += x2 * second; h3 += x3 * second;
          }
        }
        // In turn: keys 0 to 3 and 4 to 7, for each query.
        var fresh = array<vec4f, 8>(l0, h0, l1, h1, l2, h2, l3, h3);
        let first = step * 8u;
        for (var i = first; i < first + 8u; i++) {
          let row = i / 2u % 4u;
          let keys = token + i % 2u * 4u + lanes4;
          var s = fresh[i - first] * scale;
          if (u.HAS_BIAS != 0u && segment == 0u) {
            let at = bias_start(query[row], head) + min(keys, vec4u(count - 1u)) * u.HEADS;
            s += vec4f(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
          }
          s = select(vec4f(NOTHING), s, keys < vec4u(select(count, min(count, query[row] + 1u), causal)));
          scores[i] = s;
          peak = select(peak, max(peak, vec4f(max(max(s.x, s.y), max(s.z, s.w)))), lanes4 == vec4u(row));
        }
      }
      let shrink = exp(most - peak);
      most = peak;
      total *= shrink;
      for (var i = 0u; i < 8u * steps; i++) {
        let row = i / 2u % 4u;
        let p = exp(scores[i] - peak[row]);
        scores[i] = p;
        total = select(total, total + dot(p, vec4f(1.0)), lanes4 == vec4u(row));
      }
      // Values, sixteen dimensions at a time; past the last they repeat it and are dropped.
      for (var d = 0u; d < depth; d += 4u) {
        let offset = value_offset(segment) + head * D;
        let rest = depth - 1u - d;
        var a0 = vec4f(); var a1 = vec4f(); var a2 = vec4f(); var a3 = vec4f();
        var b0 = vec4f(); var b1 = vec4f(); var b2 = vec4f(); var b3 = vec4f();
        var c0 = vec4f(); var c1 = vec4f(); var c2 = vec4f(); var c3 = vec4f();
        var e0 = vec4f(); var e1 = vec4f(); var e2 = vec4f(); var e3 = vec4f();
        // Four keys a turn: with 8 lanes the upper four fetch two of the four vec4 of a token.
        for (var turn = 0u; turn < 2u * steps; turn++) {
          let token = block + turn * 4u + lane % 4u;
          let at = (token_start(segment, sample, min(token, count - 1u)) + offset) / 4u + d;
          let from_score = turn / 2u * 8u + turn % 2u;
          let p0 = scores[from_score];
          let p1 = scores[from_score + 2u];
          let p2 = scores[from_score + 4u];
          let p3 = scores[from_score + 6u];
          let upper = select(0u, 2u, lane >= 4u);
          var v: vec4f;
          var w: vec4f;
          if (LANES == 8u) {
            // Twice, by a bound that no compiler knows.
            for (var i = 0u; i * depth < 2u * depth; i++) {
              v = w;
              w = segment_vec4(segment, at + min(upper + i, rest));
            }
          } else {
            v = segment_vec4(segment, at + min(upper, rest));
            w = segment_vec4(segment, at + min(upper + 1u, rest));
          }
          let first = spread(v);
          a0 += first * p0; a1 += first * p1; a2 += first * p2; a3 += first * p3;
          let second = spread(w);
          b0 += second * p0; b1 += second * p1; b2 += second * p2; b3 += second * p3;
          if (LANES == 8u) {
            let third = spread_upper(v);
            c0 += third * p0; c1 += third * p1; c2 += third * p2; c3 += third * p3;
            let fourth = spread_upper(w);
            e0 += fourth * p0; e1 += fourth * p1; e2 += fourth * p2; e3 += fourth * p3;
          } else {
            let third = spread(segment_vec4(segment, at + min(2u, rest)));
            c0 += third * p0; c1 += third * p1; c2 += third * p2; c3 += third * p3;
            let fourth = spread(segment_vec4(segment, at + min(3u, rest)));
            e0 += fourth * p0; e1 += fourth * p1; e2 += fourth * p2; e3 += fourth * p3;
          }
        }
        var fresh = array<vec4f, 16>(a0, a1, a2, a3, b0, b1, b2, b3, c0, c1, c2, c3, e0, e1, e2, e3);
        for (var i = 4u * d; i < 4u * min(d + 4u, depth); i++) { sums[i] = sums[i] * shrink[i % 4u] + fresh[i - 4u * d]; }
      }
    }
  }
  // With nothing to attend to the result is zero.
  let norm = select(vec4f(), 1.0 / total, total > vec4f());
  for (var i = 0u; i < 4u * depth; i++) {
    let row = i % 4u;
    let to = ((sample * u.QUERIES + query[row]) * u.HEADS + head) * depth + i / 4u;
    if (id.x * 4u + row < u.QUERIES) { y[to] = store_y4(sums[i] * norm[row]); }
  }
}
