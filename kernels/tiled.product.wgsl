// Product in f32, shared by linear layer and convolution: a tile of y a workgroup through workgroup memory, 8 x 8 outputs a thread, the next
// tile's operands fetched into registers meanwhile. Portable, for GPUs: twice the arithmetic of 4 x 4 outputs for each load. Not yet measured on one.
// What is multiplied, `*.factors.wgsl` says: `rows()`, `columns4()`, `steps()`, `place_of`, `left_at`, `right_at`, `finish`.
// Prelude: DOWN, ACROSS (threads over rows and columns), DEEP (threads that share what is summed), DEPTH (of a step, a multiple of 4 DEEP).

const THREADS = DOWN * ACROSS * DEEP;
const TILE_ROWS = DOWN * 8u;
const COLUMNS4 = ACROSS * 2u;
const DEPTH4 = DEPTH / 4u;
const LEFT_SHARE = TILE_ROWS * DEPTH4 / THREADS;
const RIGHT_SHARE = DEPTH * COLUMNS4 / THREADS;
// What the threads of one place have summed: a row of their tile after the other, so that little memory is enough.
const GATHERED = select(1u, THREADS * 2u, DEEP > 1u);

// Rows of the left tile along what is summed, rows of the right one along columns; a slot of padding a row spreads the banks.
var<workgroup> lefts: array<array<vec4f, DEPTH4 + 1u>, TILE_ROWS>;
var<workgroup> rights: array<array<vec4f, COLUMNS4 + 1u>, DEPTH>;
var<workgroup> gathered: array<vec4f, GATHERED>;

// One row of a thread's outputs, its two vec4 together with those of the threads that share it.
fn unload(row: u32, column: u32, left: vec4f, right: vec4f, index: u32) {
  var a = left;
  var b = right;
  if (DEEP > 1u) {
    gathered[2u * index] = left;
    gathered[2u * index + 1u] = right;
    workgroupBarrier();
    for (var d = 1u; d < DEEP; d++) {
      let other = (index + d * DOWN * ACROSS) % THREADS;
      a += gathered[2u * other];
      b += gathered[2u * other + 1u];
    }
    workgroupBarrier();
  }
  if (index >= DOWN * ACROSS || row >= rows()) { return; }
  if (column < columns4()) { finish(row, column, a); }
  if (column + ACROSS < columns4()) { finish(row, column + ACROSS, b); }
}

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) tile: vec3u, @builtin(local_invocation_index) index: u32) {
  let across = index % ACROSS;
  let down = index / ACROSS % DOWN;
  let deep = index / (ACROSS * DOWN);
  var places: array<Place, LEFT_SHARE>;
  for (var i = 0u; i < LEFT_SHARE; i++) { places[i] = place_of(tile.x * TILE_ROWS + (index + i * THREADS) / DEPTH4); }
  var next_lefts: array<vec4f, LEFT_SHARE>;
  var next_rights: array<vec4f, RIGHT_SHARE>;
  var s00 = vec4f(); var s10 = vec4f(); var s20 = vec4f(); var s30 = vec4f();
  var s40 = vec4f(); var s50 = vec4f(); var s60 = vec4f(); var s70 = vec4f();
  var s01 = vec4f(); var s11 = vec4f(); var s21 = vec4f(); var s31 = vec4f();
  var s41 = vec4f(); var s51 = vec4f(); var s61 = vec4f(); var s71 = vec4f();
  let count = steps();
  // One round more than there are steps: a round fetches its step and multiplies the one before.
  for (var step = 0u; step <= count; step++) {
    if (step < count) {
      for (var i = 0u; i < LEFT_SHARE; i++) { next_lefts[i] = left_at(places[i], step, (index + i * THREADS) % DEPTH4); }
      for (var i = 0u; i < RIGHT_SHARE; i++) {
        let j = index + i * THREADS;
        next_rights[i] = right_at(step, j / COLUMNS4, tile.y * COLUMNS4 + j % COLUMNS4);
      }
    }
    if (step > 0u) {
      for (var i = deep; i < DEPTH4; i += DEEP) {
        let x0 = lefts[down * 8u][i]; let x1 = lefts[down * 8u + 1u][i]; let x2 = lefts[down * 8u + 2u][i]; let x3 = lefts[down * 8u + 3u][i];
        let x4 = lefts[down * 8u + 4u][i]; let x5 = lefts[down * 8u + 5u][i]; let x6 = lefts[down * 8u + 6u][i]; let x7 = lefts[down * 8u + 7u][i];
        let w0 = mat4x4f(rights[4u * i][across], rights[4u * i + 1u][across], rights[4u * i + 2u][across], rights[4u * i + 3u][across]);
        s00 = multiply_add(s00, w0, x0); s10 = multiply_add(s10, w0, x1); s20 = multiply_add(s20, w0, x2); s30 = multiply_add(s30, w0, x3);
        s40 = multiply_add(s40, w0, x4); s50 = multiply_add(s50, w0, x5); s60 = multiply_add(s60, w0, x6); s70 = multiply_add(s70, w0, x7);
        let right = across + ACROSS;
        let w1 = mat4x4f(rights[4u * i][right], rights[4u * i + 1u][right], rights[4u * i + 2u][right], rights[4u * i + 3u][right]);
        s01 = multiply_add(s01, w1, x0); s11 = multiply_add(s11, w1, x1); s21 = multiply_add(s21, w1, x2); s31 = multiply_add(s31, w1, x3);
        s41 = multiply_add(s41, w1, x4); s51 = multiply_add(s51, w1, x5); s61 = multiply_add(s61, w1, x6); s71 = multiply_add(s71, w1, x7);
      }
    }
    workgroupBarrier();
    if (step < count) {
      for (var i = 0u; i < LEFT_SHARE; i++) { let j = index + i * THREADS; lefts[j / DEPTH4][j % DEPTH4] = next_lefts[i]; }
      for (var i = 0u; i < RIGHT_SHARE; i++) { let j = index + i * THREADS; rights[j / COLUMNS4][j % COLUMNS4] = next_rights[i]; }
    }
    workgroupBarrier();
  }
  let row = tile.x * TILE_ROWS + down * 8u;
  let column = tile.y * COLUMNS4 + across;
  unload(row, column, s00, s01, index); unload(row + 1u, column, s10, s11, index);
  unload(row + 2u, column, s20, s21, index); unload(row + 3u, column, s30, s31, index);
  unload(row + 4u, column, s40, s41, index); unload(row + 5u, column, s50, s51, index);
  unload(row + 6u, column, s60, s61, index); unload(row + 7u, column, s70, s71, index);
}
