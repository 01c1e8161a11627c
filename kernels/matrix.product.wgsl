// Product on subgroup matrices, shared by linear layer and convolution: a tile of y a workgroup through workgroup memory, two or four by two
// matrices a subgroup. Operands are fetched into registers while the tile before is multiplied. Not yet measured on a GPU.
// What is multiplied, `*.factors.wgsl` says: `rows()`, `columns4()` (of y, in vec4), `steps()` (slices of DEPTH along what is summed), `place_of(row)`,
// `left_at(place, step, part)` and `right_at(step, k, column)` (four operands), and takes the sums in `finish`.
// Prelude: M, N, K, LANES (a subgroup), DOWN, ACROSS (subgroups over rows and columns), DEEP (that share what is summed), FRAGMENTS (matrices of a
// subgroup over rows: 2 or 4), DEPTH.

const SUBGROUPS = DOWN * ACROSS * DEEP;
const THREADS = LANES * SUBGROUPS;
const TILE_ROWS = DOWN * FRAGMENTS * M;
const TILE_COLUMNS = ACROSS * 2u * N;
// Eight elements of padding a row spread the banks and keep rows at whole vectors.
const LEFT_STRIDE = DEPTH + 8u;
const RIGHT_STRIDE = TILE_COLUMNS + 8u;
const SUM_STRIDE = N + 4u;
// Vectors that a thread fetches a step.
const LEFT_SHARE = TILE_ROWS * DEPTH / 4u / THREADS;
const RIGHT_SHARE = DEPTH * TILE_COLUMNS / 4u / THREADS;

var<workgroup> lefts: array<operand, TILE_ROWS * LEFT_STRIDE>;
var<workgroup> rights: array<operand, DEPTH * RIGHT_STRIDE>;
var<workgroup> sums: array<f32, SUBGROUPS * M * SUM_STRIDE>;

// Adds what the subgroups of one place have of one matrix, and finishes it.
fn unload(sum: Sum, row: u32, column: u32, subgroup: u32, lane: u32) {
  store_sum(subgroup * M * SUM_STRIDE, sum);
  workgroupBarrier();
  let deep = subgroup / (DOWN * ACROSS);
  for (var i = lane + deep * LANES; i < M * N / 4u; i += LANES * DEEP) {
    let within = i / (N / 4u) * SUM_STRIDE + i % (N / 4u) * 4u;
    var v = vec4f();
    for (var d = 0u; d < DEEP; d++) {
      let at = (d * DOWN * ACROSS + subgroup % (DOWN * ACROSS)) * M * SUM_STRIDE + within;
      v += vec4f(sums[at], sums[at + 1u], sums[at + 2u], sums[at + 3u]);
    }
    let to_row = row + i / (N / 4u);
    let to_column = column / 4u + i % (N / 4u);
    if (to_row < rows() && to_column < columns4()) { finish(to_row, to_column, v); }
  }
  workgroupBarrier();
}

@compute @workgroup_size(LANES, SUBGROUPS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_id) local: vec3u, @builtin(local_invocation_index) index: u32) {
  let subgroup = local.y;
  let down = subgroup % DOWN;
  let across = subgroup / DOWN % ACROSS;
  let deep = subgroup / (DOWN * ACROSS);
  var places: array<Place, LEFT_SHARE>;
  for (var i = 0u; i < LEFT_SHARE; i++) { places[i] = place_of(tile.x * TILE_ROWS + (index + i * THREADS) / (DEPTH / 4u)); }
  var next_lefts: array<vec4<operand>, LEFT_SHARE>;
  var next_rights: array<vec4<operand>, RIGHT_SHARE>;
  var s00: Sum; var s01: Sum; var s10: Sum; var s11: Sum;
  var s20: Sum; var s21: Sum; var s30: Sum; var s31: Sum;
  let count = steps();
  // One round more than there are steps: a round fetches its step and multiplies the one before.
  for (var step = 0u; step <= count; step++) {
    if (step < count) {
      for (var i = 0u; i < LEFT_SHARE; i++) { next_lefts[i] = left_at(places[i], step, (index + i * THREADS) % (DEPTH / 4u)); }
      for (var i = 0u; i < RIGHT_SHARE; i++) {
        let j = index + i * THREADS;
        next_rights[i] = right_at(step, j / (TILE_COLUMNS / 4u), tile.y * (TILE_COLUMNS / 4u) + j % (TILE_COLUMNS / 4u));
      }
    }
    if (step > 0u) {
      for (var i = 0u; i < DEPTH / (K * DEEP); i++) {
        let d = (i * DEEP + deep) * K;
        let right0 = load_right(d * RIGHT_STRIDE + across * 2u * N);
        let right1 = load_right(d * RIGHT_STRIDE + across * 2u * N + N);
        let at = down * FRAGMENTS * M * LEFT_STRIDE + d;
        let left0 = load_left(at);
        s00 = multiply_add(left0, right0, s00); s01 = multiply_add(left0, right1, s01);
        let left1 = load_left(at + M * LEFT_STRIDE);
        s10 = multiply_add(left1, right0, s10); s11 = multiply_add(left1, right1, s11);
        if (FRAGMENTS > 2u) {
          let left2 = load_left(at + 2u * M * LEFT_STRIDE);
          s20 = multiply_add(left2, right0, s20); s21 = multiply_add(left2, right1, s21);
          let left3 = load_left(at + 3u * M * LEFT_STRIDE);
          s30 = multiply_add(left3, right0, s30); s31 = multiply_add(left3, right1, s31);
        }
      }
    }
    workgroupBarrier();
    if (step < count) {
      for (var i = 0u; i < LEFT_SHARE; i++) {
        let j = index + i * THREADS;
        let at = j / (DEPTH / 4u) * LEFT_STRIDE + j % (DEPTH / 4u) * 4u;
        let v = next_lefts[i];
        lefts[at] = v.x; lefts[at + 1u] = v.y; lefts[at + 2u] = v.z; lefts[at + 3u] = v.w;
      }
      for (var i = 0u; i < RIGHT_SHARE; i++) {
        let j = index + i * THREADS;
        let at = j / (TILE_COLUMNS / 4u) * RIGHT_STRIDE + j % (TILE_COLUMNS / 4u) * 4u;
        let v = next_rights[i];
        rights[at] = v.x; rights[at + 1u] = v.y; rights[at + 2u] = v.z; rights[at + 3u] = v.w;
      }
    }
    workgroupBarrier();
  }
  let row = tile.x * TILE_ROWS + down * FRAGMENTS * M;
  let left_column = tile.y * TILE_COLUMNS + across * 2u * N;
  unload(s00, row, left_column, subgroup, local.x); unload(s01, row, left_column + N, subgroup, local.x);
  unload(s10, row + M, left_column, subgroup, local.x); unload(s11, row + M, left_column + N, subgroup, local.x);
  if (FRAGMENTS > 2u) {
    unload(s20, row + 2u * M, left_column, subgroup, local.x); unload(s21, row + 2u * M, left_column + N, subgroup, local.x);
    unload(s30, row + 3u * M, left_column, subgroup, local.x); unload(s31, row + 3u * M, left_column + N, subgroup, local.x);
  }
}
