// Statistics of group norm, one thread a (sample, group), one value at a time: the definition as a kernel, for f32 tensors of any width.
// x [B, P, C], x2 [B, P, C2] continues x. Uniform: C, D (C2), GROUPS, WIDTH (channels a group). Prelude: EPSILON.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x2: array<f32>;

fn load(row: u32, channel: u32) -> f32 {
  if (channel < u.C) { return x[row * u.C + channel]; }
  return x2[row * u.D + channel - u.C];
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 8u;
  if (index >= samples() * u.GROUPS) { return; }
  let sample = index / u.GROUPS;
  let pixels = arrayLength(&x) / u.C / samples();
  let first = (index % u.GROUPS) * u.WIDTH;
  var sum = 0.0;
  for (var row = sample * pixels; row < (sample + 1u) * pixels; row++) {
    for (var channel = first; channel < first + u.WIDTH; channel++) { sum += load(row, channel); }
  }
  let mean = sum / f32(pixels * u.WIDTH);
  var squares = 0.0;
  for (var row = sample * pixels; row < (sample + 1u) * pixels; row++) {
    for (var channel = first; channel < first + u.WIDTH; channel++) {
      let d = load(row, channel) - mean;
      squares += d * d;
    }
  }
  let rstd = inverseSqrt(squares / f32(pixels * u.WIDTH) + EPSILON);
  for (var channel = first; channel < first + u.WIDTH; channel++) { finish(sample, channel, mean, rstd); }
}
