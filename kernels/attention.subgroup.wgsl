// Attention with online softmax (Milakov & Gimelshein, 2018), subgroup: a query a lane, four keys a step. For software adapters with
// subgroups of 4 or 8: lanes load different keys and hand them round, queries and sums stay in registers. D a multiple of 8, at most 128.

fn segment_vec4(segment: u32, at: u32) -> vec4f {
  if (SEGMENTS > 1u && segment == 1u) { return load_s4(s1[at]); }
  if (SEGMENTS > 2u && segment == 2u) { return load_s4(s2[at]); }
  return load_s4(s0[at]);
}

struct Pair { a: mat4x4f, b: mat4x4f }

// Two neighbouring vec4 of four tokens, as columns, in every lane; `at` is where they stand for this lane's own token.
fn gather(segment: u32, at: u32, lane: u32) -> Pair {
  if (LANES == 4u) {
    let v = segment_vec4(segment, at);
    let u = segment_vec4(segment, at + 1u);
    return Pair(
      mat4x4f(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u)),
      mat4x4f(subgroupBroadcast(u, 0u), subgroupBroadcast(u, 1u), subgroupBroadcast(u, 2u), subgroupBroadcast(u, 3u)));
  }
  // Eight lanes: the upper four fetch the second vec4.
  let v = segment_vec4(segment, at + lane / 4u);
  return Pair(
    mat4x4f(subgroupBroadcast(v, 0u), subgroupBroadcast(v, 1u), subgroupBroadcast(v, 2u), subgroupBroadcast(v, 3u)),
    mat4x4f(subgroupBroadcast(v, 4u), subgroupBroadcast(v, 5u), subgroupBroadcast(v, 6u), subgroupBroadcast(v, 7u)));
}

// Sixteen dimensions of the query against four keys.
fn scores(query: mat4x4f, segment: u32, at: u32, dims4: u32, lane: u32) -> vec4f {
  let low = gather(segment, at, lane);
  var s = query[0] * low.a + query[1] * low.b;
  if (dims4 > 2u) {
    let high = gather(segment, at + 2u, lane);
    s += query[2] * high.a + query[3] * high.b;
  }
  return s;
}

// Sixteen dimensions of four values, weighted.
fn weighted(p: vec4f, segment: u32, at: u32, dims4: u32, lane: u32) -> mat4x4f {
  let low = gather(segment, at, lane);
  if (dims4 <= 2u) { return mat4x4f(low.a * p, low.b * p, vec4f(), vec4f()); }
  let high = gather(segment, at + 2u, lane);
  return mat4x4f(low.a * p, low.b * p, high.a * p, high.b * p);
}

// Dimensions [16 part, 16 part + 16) of this thread's query; zeros past D.
fn load_query(at: u32, part: u32) -> mat4x4f {
  if (4u * part >= D / 4u) { return mat4x4f(); }
  let start = at + 4u * part;
  var high = mat2x4f();
  if (4u * part + 2u < D / 4u) { high = mat2x4f(load_q4(q[start + 2u]), load_q4(q[start + 3u])); }
  return SCALE * mat4x4f(load_q4(q[start]), load_q4(q[start + 1u]), high[0], high[1]);
}

fn store_part(at: u32, part: u32, sum: mat4x4f) {
  if (4u * part >= D / 4u) { return; }
  let start = at + 4u * part;
  y[start] = store_y4(sum[0]);
  y[start + 1u] = store_y4(sum[1]);
  if (4u * part + 2u < D / 4u) {
    y[start + 2u] = store_y4(sum[2]);
    y[start + 3u] = store_y4(sum[3]);
  }
}

const D4 = D / 4u;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(workgroup_id) tile: vec3u, @builtin(subgroup_invocation_id) lane: u32) {
  let sample = tile.z;
  let head = tile.y;
  let query = min(id.x, QUERIES - 1u);
  let from_q = ((sample * QUERIES + query) * Q_STRIDE + Q_OFFSET + head * D) / 4u;
  let q0 = load_query(from_q, 0u); let q1 = load_query(from_q, 1u); let q2 = load_query(from_q, 2u); let q3 = load_query(from_q, 3u);
  let q4 = load_query(from_q, 4u); let q5 = load_query(from_q, 5u); let q6 = load_query(from_q, 6u); let q7 = load_query(from_q, 7u);
  var a0 = mat4x4f(); var a1 = mat4x4f(); var a2 = mat4x4f(); var a3 = mat4x4f();
  var a4 = mat4x4f(); var a5 = mat4x4f(); var a6 = mat4x4f(); var a7 = mat4x4f();
  var most = -3.0e38;
  var total = 0.0;
  for (var segment = 0u; segment < SEGMENTS; segment++) {
    let count = token_count(segment, sample);
    for (var token = 0u; token < count; token += 4u) {
      let start = token_start(segment, sample, min(token + lane % 4u, count - 1u)) + head * D;
      let keys = (start + key_offset(segment)) / 4u;
      var s = scores(q0, segment, keys, D4, lane);
      if (D4 > 4u) { s += scores(q1, segment, keys + 4u, D4 - 4u, lane); }
      if (D4 > 8u) { s += scores(q2, segment, keys + 8u, D4 - 8u, lane); }
      if (D4 > 12u) { s += scores(q3, segment, keys + 12u, D4 - 12u, lane); }
      if (D4 > 16u) { s += scores(q4, segment, keys + 16u, D4 - 16u, lane); }
      if (D4 > 20u) { s += scores(q5, segment, keys + 20u, D4 - 20u, lane); }
      if (D4 > 24u) { s += scores(q6, segment, keys + 24u, D4 - 24u, lane); }
      if (D4 > 28u) { s += scores(q7, segment, keys + 28u, D4 - 28u, lane); }
      let tokens = token + vec4u(0u, 1u, 2u, 3u);
      if (HAS_BIAS && segment == 0u) {
        let at = (query * S0_TOKENS + min(tokens, vec4u(count - 1u))) * HEADS + head;
        s += vec4f(bias[at.x], bias[at.y], bias[at.z], bias[at.w]);
      }
      s = select(vec4f(-3.0e38), s, tokens < vec4u(count));
      let peak = max(max(s.x, s.y), max(s.z, s.w));
      if (peak > most) {
        let shrink = exp(most - peak);
        most = peak;
        total *= shrink;
        a0 *= shrink;
        if (D4 > 4u) { a1 *= shrink; }
        if (D4 > 8u) { a2 *= shrink; a3 *= shrink; }
        if (D4 > 16u) { a4 *= shrink; a5 *= shrink; a6 *= shrink; a7 *= shrink; }
      }
      let p = exp(s - most);
      total += p.x + p.y + p.z + p.w;
      let values = (start + value_offset(segment)) / 4u;
      a0 += weighted(p, segment, values, D4, lane);
      if (D4 > 4u) { a1 += weighted(p, segment, values + 4u, D4 - 4u, lane); }
      if (D4 > 8u) { a2 += weighted(p, segment, values + 8u, D4 - 8u, lane); }
      if (D4 > 12u) { a3 += weighted(p, segment, values + 12u, D4 - 12u, lane); }
      if (D4 > 16u) { a4 += weighted(p, segment, values + 16u, D4 - 16u, lane); }
      if (D4 > 20u) { a5 += weighted(p, segment, values + 20u, D4 - 20u, lane); }
      if (D4 > 24u) { a6 += weighted(p, segment, values + 24u, D4 - 24u, lane); }
      if (D4 > 28u) { a7 += weighted(p, segment, values + 28u, D4 - 28u, lane); }
    }
  }
  if (id.x >= QUERIES) { return; }
  // With nothing to attend to the result is zero.
  let scale = select(0.0, 1.0 / total, total > 0.0);
  let to = ((sample * QUERIES + query) * HEADS + head) * D4;
  store_part(to, 0u, a0 * scale); store_part(to, 1u, a1 * scale); store_part(to, 2u, a2 * scale); store_part(to, 3u, a3 * scale);
  store_part(to, 4u, a4 * scale); store_part(to, 5u, a5 * scale); store_part(to, 6u, a6 * scale); store_part(to, 7u, a7 * scale);
}
