// Attention with online softmax (Milakov & Gimelshein, 2018), portable tiled: 64 queries of a head a workgroup, keys and values
// through workgroup memory 16 tokens at a time, a query a thread. For GPUs; not yet measured on one. D a multiple of 4, at most 128.

const D4 = D / 4u;

var<workgroup> keys: array<array<vec4f, D4>, 16>;
var<workgroup> values: array<array<vec4f, D4>, 16>;

fn segment_vec4(segment: u32, at: u32) -> vec4f {
  if (segment == 0u) { return load_s4(s0[at]); }
  if (segment == 1u) { return load_s4(s1[at]); }
  return load_s4(s2[at]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(local_invocation_index) index: u32, @builtin(workgroup_id) tile: vec3u) {
  let sample = tile.z;
  let head = tile.y;
  let query = min(id.x, u.QUERIES - 1u);
  let from_q = ((sample * u.QUERIES + query) * u.Q_STRIDE + u.Q_OFFSET + head * D) / 4u;
  var own: array<vec4f, D4>;
  var sum: array<vec4f, D4>;
  for (var d = 0u; d < D4; d++) { own[d] = bitcast<f32>(u.SCALE) * load_q4(q[from_q + d]); }
  var most = -3.0e38;
  var total = 0.0;
  for (var segment = 0u; segment < u.SEGMENTS; segment++) {
    let count = seen_count(segment, sample, tile.x * 64u + 64u);
    let own_count = seen_count(segment, sample, query + 1u);
    for (var first = 0u; first < count; first += 16u) {
      for (var i = index; i < 16u * D4; i += 64u) {
        let start = token_start(segment, sample, min(first + i / D4, count - 1u)) + head * D;
        keys[i / D4][i % D4] = segment_vec4(segment, (start + key_offset(segment)) / 4u + i % D4);
        values[i / D4][i % D4] = segment_vec4(segment, (start + value_offset(segment)) / 4u + i % D4);
      }
      workgroupBarrier();
      for (var t = 0u; t < min(16u, max(own_count, first) - first); t++) {
        var score4 = vec4f();
        for (var d = 0u; d < D4; d++) { score4 += own[d] * keys[t][d]; }
        var score = dot(score4, vec4f(1.0));
        if (u.HAS_BIAS != 0u && segment == 0u) { score += bias[bias_start(query, head) + (first + t) * u.HEADS]; }
        if (score > most) {
          let shrink = exp(most - score);
          most = score;
          total *= shrink;
          for (var d = 0u; d < D4; d++) { sum[d] *= shrink; }
        }
        let p = exp(score - most);
        total += p;
        for (var d = 0u; d < D4; d++) { sum[d] += p * values[t][d]; }
      }
      workgroupBarrier();
    }
  }
  if (id.x >= u.QUERIES) { return; }
  // With nothing to attend to the result is zero.
  let scale = select(0.0, 1.0 / total, total > 0.0);
  let to = ((sample * u.QUERIES + query) * u.HEADS + head) * D4;
  for (var d = 0u; d < D4; d++) { y[to + d] = store_y4(sum[d] * scale); }
}
