// Transposes weights on their way to the device, one value a thread: for f32 weights with any number of outputs.

@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= u.COUNT * u.INPUTS * u.TAPS) { return; }
  let place = index / u.COUNT;
  let row = index % u.COUNT;
  let at = row * u.INPUTS * u.TAPS + place % u.INPUTS * u.TAPS + place / u.INPUTS;
  y[place * u.OUTPUTS + u.FIRST + row] = value_at(at);
}
