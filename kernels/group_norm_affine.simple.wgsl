// Statistics of group norm, one thread a (sample, group), one value at a time: the definition as a kernel, for f32 tensors of any width.
// x [B, P, C], x2 [B, P, C2] continues x. Prelude: C, D (C2), GROUPS, WIDTH (channels a group), HAS_X2, EPSILON.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x2: array<f32>;

fn load(row: u32, channel: u32) -> f32 {
  if (!HAS_X2 || channel < C) { return x[row * C + channel]; }
  return x2[row * D + channel - C];
}

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 8u;
  if (index >= samples() * GROUPS) { return; }
  let sample = index / GROUPS;
  let pixels = arrayLength(&x) / C / samples();
  let first = (index % GROUPS) * WIDTH;
  var sum = 0.0;
  for (var row = sample * pixels; row < (sample + 1u) * pixels; row++) {
    for (var channel = first; channel < first + WIDTH; channel++) { sum += load(row, channel); }
  }
  let mean = sum / f32(pixels * WIDTH);
  var squares = 0.0;
  for (var row = sample * pixels; row < (sample + 1u) * pixels; row++) {
    for (var channel = first; channel < first + WIDTH; channel++) {
      let d = load(row, channel) - mean;
      squares += d * d;
    }
  }
  let rstd = inverseSqrt(squares / f32(pixels * WIDTH) + EPSILON);
  for (var channel = first; channel < first + WIDTH; channel++) { finish(sample, channel, mean, rstd); }
}
