// Attention on subgroup matrices: SUBGROUPS M queries of a head a workgroup, M a subgroup, 32 keys a block. For GPUs that have them; f16 storage.
// Not yet measured on one. Sums stay in matrices, whose rows no thread can reach: so their scale (the largest score of a row so far) is
// only changed, by way of workgroup memory, when a score exceeds it by more than SLACK (as FlashAttention 4 does, 2025): shares then go up to e^SLACK.
// D at most 8 N, a multiple of N, of K and of 4. Prelude: M, N, K, LANES, SUBGROUPS, D.

const KEYS = 32u;
const SLACK = 5.0;
const NOTHING = -3.0e38;
const THREADS = LANES * SUBGROUPS;
const QUERIES = SUBGROUPS * M;
const D4 = D / 4u;
// `lefts` holds the queries and behind them the shares of a block, `rights` its keys and then its values.
const LEFT_STRIDE = max(D, KEYS) + 8u;
const SHARES = QUERIES * LEFT_STRIDE;
const RIGHT_STRIDE = D + 8u;
// `sums` takes the scores of a block, or N columns of the result.
const SUM_STRIDE = KEYS + 4u;

var<workgroup> lefts: array<operand, 2u * QUERIES * LEFT_STRIDE>;
var<workgroup> rights: array<operand, KEYS * RIGHT_STRIDE>;
var<workgroup> sums: array<f32, QUERIES * SUM_STRIDE>;
// Of each query: its scale, the sum of its shares, and by what its sums are to shrink.
var<workgroup> bases: array<f32, QUERIES>;
var<workgroup> totals: array<f32, QUERIES>;
var<workgroup> shrinks: array<f32, QUERIES>;
var<workgroup> rescale: atomic<u32>;
var<workgroup> rescales: u32;

fn operands_of(segment: u32, at: u32) -> vec4<operand> {
  if (segment == 0u) { return operand_s4(s0[at]); }
  if (segment == 1u) { return operand_s4(s1[at]); }
  return operand_s4(s2[at]);
}

// Keys or values of a block, those past the last as zeros: a share of 0 times what memory happens to hold may be no number.
fn fetch_block(segment: u32, sample: u32, first: u32, count: u32, offset: u32, index: u32) {
  for (var i = index; i < KEYS * D4; i += THREADS) {
    var v = vec4<operand>();
    if (first + i / D4 < count) { v = operands_of(segment, (token_start(segment, sample, first + i / D4) + offset) / 4u + i % D4); }
    let at = i / D4 * RIGHT_STRIDE + i % D4 * 4u;
    rights[at] = v.x; rights[at + 1u] = v.y; rights[at + 2u] = v.z; rights[at + 3u] = v.w;
  }
}

// The scores of a subgroup's queries with N keys.
fn score(row: u32, key: u32) {
  var sum: Sum;
  for (var d = 0u; d < D; d += K) {
    sum = multiply_add(load_left(row * LEFT_STRIDE + d), load_transposed(key * RIGHT_STRIDE + d), sum);
  }
  store_sum(row * SUM_STRIDE + key, sum);
}

// The sums of a subgroup's queries in N dimensions, with the scale changed.
fn rescaled(sum: Sum, row: u32, lane: u32) -> Sum {
  store_sum(row * SUM_STRIDE, sum);
  workgroupBarrier();
  for (var i = lane; i < M * N; i += LANES) { sums[(row + i / N) * SUM_STRIDE + i % N] *= shrinks[row + i / N]; }
  workgroupBarrier();
  let shrunk = load_sum(row * SUM_STRIDE);
  workgroupBarrier();
  return shrunk;
}

// Adds the values of a block in N dimensions.
fn weighted(row: u32, d: u32, sum: Sum) -> Sum {
  var s = sum;
  for (var key = 0u; key < KEYS; key += K) {
    s = multiply_add(load_left(SHARES + row * LEFT_STRIDE + key), load_right(key * RIGHT_STRIDE + d), s);
  }
  return s;
}

// With nothing to attend to the result is zero.
fn unload(sum: Sum, row: u32, lane: u32, first: u32, to: vec3u) {
  store_sum(row * SUM_STRIDE, sum);
  workgroupBarrier();
  for (var i = lane; i < M * N / 4u; i += LANES) {
    let mine = row + i / (N / 4u);
    let at = mine * SUM_STRIDE + i % (N / 4u) * 4u;
    let v = vec4f(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
    let norm = select(0.0, 1.0 / totals[mine], totals[mine] > 0.0);
    if (first + mine < u.QUERIES) {
      y[((to.z * u.QUERIES + first + mine) * u.HEADS + to.y) * D4 + to.x / 4u + i % (N / 4u)] = store_y4(v * norm);
    }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES, SUBGROUPS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  let sample = tile.z;
  let head = tile.y;
  let first_query = tile.x * QUERIES;
  let row = local.y * M;
  for (var i = index; i < QUERIES * D4; i += THREADS) {
    let query = min(first_query + i / D4, u.QUERIES - 1u);
    let v = operand_q4(q[((sample * u.QUERIES + query) * u.Q_STRIDE + u.Q_OFFSET + head * D) / 4u + i % D4]);
    let at = i / D4 * LEFT_STRIDE + i % D4 * 4u;
    lefts[at] = v.x; lefts[at + 1u] = v.y; lefts[at + 2u] = v.z; lefts[at + 3u] = v.w;
  }
  for (var i = index; i < QUERIES; i += THREADS) {
    bases[i] = NOTHING;
    totals[i] = 0.0;
  }
  var o0: Sum; var o1: Sum; var o2: Sum; var o3: Sum; var o4: Sum; var o5: Sum; var o6: Sum; var o7: Sum;
  for (var segment = 0u; segment < u.SEGMENTS; segment++) {
    let count = seen_count(segment, sample, first_query + QUERIES);
    for (var first = 0u; first < count; first += KEYS) {
      fetch_block(segment, sample, first, count, key_offset(segment) + head * D, index);
      workgroupBarrier();
      for (var key = 0u; key < KEYS; key += N) { score(row, key); }
      if (index == 0u) { atomicStore(&rescale, 0u); }
      workgroupBarrier();
      // Scores as they count, and whether the scale must change.
      for (var i = index; i < QUERIES; i += THREADS) {
        let query = min(first_query + i, u.QUERIES - 1u);
        let seen = max(seen_count(segment, sample, query + 1u), first) - first;
        var peak = NOTHING;
        for (var key = 0u; key < KEYS; key++) {
          var s = sums[i * SUM_STRIDE + key] * bitcast<f32>(u.SCALE);
          if (key < seen && u.HAS_BIAS != 0u && segment == 0u) { s += bias[bias_start(query, head) + (first + key) * u.HEADS]; }
          s = select(NOTHING, s, key < seen);
          sums[i * SUM_STRIDE + key] = s;
          peak = max(peak, s);
        }
        shrinks[i] = 1.0;
        if (peak > bases[i] + SLACK) {
          shrinks[i] = exp(bases[i] - peak);
          bases[i] = peak;
          atomicStore(&rescale, 1u);
        }
        var total = totals[i] * shrinks[i];
        for (var key = 0u; key < KEYS; key++) {
          let s = sums[i * SUM_STRIDE + key];
          let share = operand(select(0.0, exp(s - bases[i]), s > NOTHING));
          lefts[SHARES + i * LEFT_STRIDE + key] = share;
          total += f32(share);
        }
        totals[i] = total;
      }
      workgroupBarrier();
      fetch_block(segment, sample, first, count, value_offset(segment) + head * D, index);
      if (index == 0u) { rescales = atomicLoad(&rescale); }
      if (workgroupUniformLoad(&rescales) != 0u) {
        o0 = rescaled(o0, row, local.x);
        if (D > N) { o1 = rescaled(o1, row, local.x); }
        if (D > 2u * N) { o2 = rescaled(o2, row, local.x); }
        if (D > 3u * N) { o3 = rescaled(o3, row, local.x); }
        if (D > 4u * N) { o4 = rescaled(o4, row, local.x); }
        if (D > 5u * N) { o5 = rescaled(o5, row, local.x); }
        if (D > 6u * N) { o6 = rescaled(o6, row, local.x); }
        if (D > 7u * N) { o7 = rescaled(o7, row, local.x); }
      }
      workgroupBarrier();
      o0 = weighted(row, 0u, o0);
      if (D > N) { o1 = weighted(row, N, o1); }
      if (D > 2u * N) { o2 = weighted(row, 2u * N, o2); }
      if (D > 3u * N) { o3 = weighted(row, 3u * N, o3); }
      if (D > 4u * N) { o4 = weighted(row, 4u * N, o4); }
      if (D > 5u * N) { o5 = weighted(row, 5u * N, o5); }
      if (D > 6u * N) { o6 = weighted(row, 6u * N, o6); }
      if (D > 7u * N) { o7 = weighted(row, 7u * N, o7); }
      workgroupBarrier();
    }
  }
  unload(o0, row, local.x, first_query, vec3u(0u, head, sample));
  if (D > N) { unload(o1, row, local.x, first_query, vec3u(N, head, sample)); }
  if (D > 2u * N) { unload(o2, row, local.x, first_query, vec3u(2u * N, head, sample)); }
  if (D > 3u * N) { unload(o3, row, local.x, first_query, vec3u(3u * N, head, sample)); }
  if (D > 4u * N) { unload(o4, row, local.x, first_query, vec3u(4u * N, head, sample)); }
  if (D > 5u * N) { unload(o5, row, local.x, first_query, vec3u(5u * N, head, sample)); }
  if (D > 6u * N) { unload(o6, row, local.x, first_query, vec3u(6u * N, head, sample)); }
  if (D > 7u * N) { unload(o7, row, local.x, first_query, vec3u(7u * N, head, sample)); }
}
