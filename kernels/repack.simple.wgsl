// Transposes weights on their way to the device, one value a thread: for f32 weights of any shape.

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  let stride = u.INPUTS * u.TAPS;
  if (index >= u.COUNT * stride) { return; }
  let row = index % u.COUNT;
  let column = index / u.COUNT;
  y[place_of(column) * u.OUTPUTS + u.FIRST + row] = value_at(row * stride + column);
}
