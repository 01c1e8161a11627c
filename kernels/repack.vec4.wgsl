// Transposes weights on their way to the device, four outputs a thread. For any adapter. COUNT, OUTPUTS and FIRST multiples of 4.

@group(0) @binding(1) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  let rows4 = u.COUNT / 4u;
  if (index >= rows4 * u.INPUTS * u.TAPS) { return; }
  let place = index / rows4;
  let row4 = index % rows4;
  let stride = u.INPUTS * u.TAPS;
  let at = row4 * 4u * stride + place % u.INPUTS * u.TAPS + place / u.INPUTS;
  let v = vec4f(value_at(at), value_at(at + stride), value_at(at + 2u * stride), value_at(at + 3u * stride));
  y[(place * u.OUTPUTS + u.FIRST) / 4u + row4] = store_y4(v);
}
