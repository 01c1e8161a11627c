// Transposes weights on their way to the device, a block of four outputs x four columns a thread. For any adapter.
// COUNT, STRIDE, OUTPUTS and FIRST multiples of 4.

@group(0) @binding(1) var<storage, read_write> y: array<y4>;

fn four_at(index: u32) -> vec4f {
  if (KIND % 3u == 0u) { return vec4f(value_at(index), value_at(index + 1u), value_at(index + 2u), value_at(index + 3u)); }
  return vec4f(both(source[index / 2u]), both(source[index / 2u + 1u]));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  let rows4 = u.COUNT / 4u;
  let stride = u.INPUTS * u.TAPS;
  if (index >= rows4 * stride / 4u) { return; }
  let column = index / rows4 * 4u;
  let row4 = index % rows4;
  let at = row4 * 4u * stride + column;
  let block = transpose(mat4x4f(four_at(at), four_at(at + stride), four_at(at + 2u * stride), four_at(at + 3u * stride)));
  let to = u.FIRST / 4u + row4;
  y[place_of(column) * u.OUTPUTS / 4u + to] = store_y4(block[0]);
  y[place_of(column + 1u) * u.OUTPUTS / 4u + to] = store_y4(block[1]);
  y[place_of(column + 2u) * u.OUTPUTS / 4u + to] = store_y4(block[2]);
  y[place_of(column + 3u) * u.OUTPUTS / 4u + to] = store_y4(block[3]);
}
