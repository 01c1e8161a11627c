// Mean over the first tokens of each row, one channel a thread; no tokens give zeros. For f32 tensors of any width.
// x [R, T, D], lengths [R], y [R, D]. Prelude: D.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 8u;
  if (index >= arrayLength(&y)) { return; }
  let row = index / D;
  let tokens = arrayLength(&x) / D / arrayLength(&lengths);
  let length = min(lengths[row], tokens);
  var sum = 0.0;
  for (var i = 0u; i < length; i++) { sum += x[(row * tokens + i) * D + index % D]; }
  y[index] = sum / f32(max(length, 1u));
}
