// Overlapping tiles as one feature map, one value a thread. For any adapter.
// tiles [ROWS COLUMNS, BATCH, TILE_H, TILE_W, C], down [ROWS, H], across [COLUMNS, W], y [BATCH, H, W, C], all f32. Uniform: these sizes.

@group(0) @binding(0) var<storage, read> tiles: array<f32>;
@group(0) @binding(1) var<storage, read> down: array<f32>;
@group(0) @binding(2) var<storage, read> across: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

// Where a tile of an axis begins: they are spread evenly, from its beginning to its end.
fn tile_start(extent: u32, length: u32, count: u32, index: u32) -> u32 {
  let gaps = max(count - 1u, 1u);
  return (2u * index * (extent - length) + gaps) / (2u * gaps);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= u.BATCH * u.H * u.W * u.C) { return; }
  let channel = index % u.C;
  let column = index / u.C % u.W;
  let row = index / u.C / u.W % u.H;
  let sample = index / u.C / u.W / u.H;
  var sum = 0.0;
  for (var i = 0u; i < u.ROWS; i++) {
    let top = tile_start(u.H, u.TILE_H, u.ROWS, i);
    if (row < top || row >= top + u.TILE_H) { continue; }
    for (var j = 0u; j < u.COLUMNS; j++) {
      let left = tile_start(u.W, u.TILE_W, u.COLUMNS, j);
      if (column < left || column >= left + u.TILE_W) { continue; }
      let tile = (i * u.COLUMNS + j) * u.BATCH + sample;
      let at = ((tile * u.TILE_H + row - top) * u.TILE_W + column - left) * u.C + channel;
      sum += down[i * u.H + row] * across[j * u.W + column] * tiles[at];
    }
  }
  y[index] = sum;
}
