// Attention with online softmax (Milakov & Gimelshein, 2018) for wide heads, such as an autoencoder's single one: 16 queries of a head a
// workgroup, 16 keys a block. A thread makes one score of the block, then keeps every sixteenth vec4 of one query's result, so that
// neither memory of a workgroup nor registers grow beyond what any GPU has; not yet measured on one. D a multiple of 4. Prelude: COLUMNS (vec4 that a
// thread keeps: D / 64, rounded up).

const NOTHING = -3.0e38;

// 16 rows x 64 channels of the queries and of the keys; one slot of padding a row spreads the banks.
var<workgroup> queries: array<array<vec4f, 17>, 16>;
var<workgroup> keys: array<array<vec4f, 17>, 16>;
var<workgroup> shares: array<array<f32, 16>, 16>;

fn segment_vec4(segment: u32, at: u32) -> vec4f {
  if (segment == 0u) { return load_s4(s0[at]); }
  if (segment == 1u) { return load_s4(s1[at]); }
  return load_s4(s2[at]);
}

@compute @workgroup_size(16, 16)
fn main(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) tile: vec3u) {
  let sample = tile.z;
  let head = tile.y;
  let query = min(tile.x * 16u + local.y, u.QUERIES - 1u);
  let from_q = ((sample * u.QUERIES + query) * u.Q_STRIDE + u.Q_OFFSET + head * 4u * u.D4) / 4u;
  let row = local.y;
  let column = local.x;
  var sums: array<vec4f, COLUMNS>;
  var most = NOTHING;
  var total = 0.0;
  for (var segment = 0u; segment < u.SEGMENTS; segment++) {
    let count = seen_count(segment, sample, tile.x * 16u + 16u);
    let own_count = seen_count(segment, sample, query + 1u);
    for (var first = 0u; first < count; first += 16u) {
      let fetched = token_start(segment, sample, min(first + row, count - 1u)) + head * 4u * u.D4 + key_offset(segment);
      var products = vec4f();
      for (var d = 0u; d < u.D4; d += 16u) {
        var q4 = vec4f();
        var k4 = vec4f();
        if (d + column < u.D4) {
          q4 = load_q4(q[from_q + d + column]);
          k4 = segment_vec4(segment, fetched / 4u + d + column);
        }
        queries[row][column] = q4;
        keys[row][column] = k4;
        workgroupBarrier();
        for (var i = 0u; i < 16u; i++) { products += queries[row][i] * keys[column][i]; }
        workgroupBarrier();
      }
      var score = dot(products, vec4f(1.0)) * bitcast<f32>(u.SCALE);
      let key = first + column;
      if (u.HAS_BIAS != 0u && segment == 0u && key < own_count) { score += bias[bias_start(query, head) + key * u.HEADS]; }
      shares[row][column] = select(NOTHING, score, key < own_count);
      workgroupBarrier();
      var peak = most;
      for (var i = 0u; i < 16u; i++) { peak = max(peak, shares[row][i]); }
      let shrink = exp(most - peak);
      most = peak;
      total *= shrink;
      for (var c = 0u; c < COLUMNS; c++) { sums[c] *= shrink; }
      for (var i = 0u; i < min(16u, count - first); i++) {
        let share = exp(shares[row][i] - peak);
        total += share;
        let values = (token_start(segment, sample, first + i) + head * 4u * u.D4 + value_offset(segment)) / 4u;
        for (var c = 0u; c < COLUMNS; c++) {
          if (c * 16u + column < u.D4) { sums[c] += share * segment_vec4(segment, values + c * 16u + column); }
        }
      }
      workgroupBarrier();
    }
  }
  if (tile.x * 16u + row >= u.QUERIES) { return; }
  // With nothing to attend to the result is zero.
  let norm = select(0.0, 1.0 / total, total > 0.0);
  let to = ((sample * u.QUERIES + query) * u.HEADS + head) * u.D4;
  for (var c = 0u; c < COLUMNS; c++) {
    if (c * 16u + column < u.D4) { y[to + c * 16u + column] = store_y4(sums[c] * norm); }
  }
}
