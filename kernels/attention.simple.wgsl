// Attention, one output value a thread: the definition as a kernel (maximum, sum and weighted sum in three sweeps), for f32 and any head dimension.

fn segment_value(segment: u32, at: u32) -> f32 {
  if (segment == 0u) { return s0[at]; }
  if (segment == 1u) { return s1[at]; }
  return s2[at];
}

fn score(sample: u32, query: u32, head: u32, segment: u32, token: u32) -> f32 {
  let queries = (sample * u.QUERIES + query) * u.Q_STRIDE + u.Q_OFFSET + head * D;
  let keys = token_start(segment, sample, token) + key_offset(segment) + head * D;
  var sum = 0.0;
  for (var d = 0u; d < D; d++) { sum += q[queries + d] * segment_value(segment, keys + d); }
  sum *= bitcast<f32>(u.SCALE);
  if (u.HAS_BIAS != 0u && segment == 0u) { sum += bias[bias_start(query, head) + token * u.HEADS]; }
  return sum;
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let channel = index % (u.HEADS * D);
  let head = channel / D;
  let query = index / (u.HEADS * D) % u.QUERIES;
  let sample = index / (u.HEADS * D) / u.QUERIES;
  var most = -3.0e38;
  for (var s = 0u; s < u.SEGMENTS; s++) {
    for (var t = 0u; t < seen_count(s, sample, query + 1u); t++) { most = max(most, score(sample, query, head, s, t)); }
  }
  var total = 0.0;
  var sum = 0.0;
  for (var s = 0u; s < u.SEGMENTS; s++) {
    for (var t = 0u; t < seen_count(s, sample, query + 1u); t++) {
      let p = exp(score(sample, query, head, s, t) - most);
      total += p;
      sum += p * segment_value(s, token_start(s, sample, t) + value_offset(s) + channel);
    }
  }
  // With nothing to attend to the result is zero.
  y[index] = select(0.0, sum / total, total > 0.0);
}
