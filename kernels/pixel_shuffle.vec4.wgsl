// Pixel shuffle and unshuffle, four neighbouring results a thread, gathered one by one. For GPUs, and where storage is packed halves.
// x and y in the order that the map gives; their sizes are a multiple of 4. Prelude: that of the map.

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read_write> y: array<y4>;

fn gather(index: u32) -> f32 {
  let at = source(index);
  return load_x4(x[at / 4u])[at % 4u];
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let first = index * 4u;
  y[index] = store_y4(vec4f(gather(first), gather(first + 1u), gather(first + 2u), gather(first + 3u)));
}
