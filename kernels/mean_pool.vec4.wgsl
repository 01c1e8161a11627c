// Mean over the first tokens of each row, four channels a thread; no tokens give zeros. For any adapter.
// x [R, T, D], lengths [R], y [R, D]. Prelude: D4 (D in vec4).

@group(0) @binding(0) var<storage, read> x: array<x4>;
@group(0) @binding(1) var<storage, read> lengths: array<u32>;
@group(0) @binding(2) var<storage, read_write> y: array<y4>;

@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 8u;
  if (index >= arrayLength(&y)) { return; }
  let row = index / D4;
  let tokens = arrayLength(&x) / D4 / arrayLength(&lengths);
  let length = min(lengths[row], tokens);
  var at = row * tokens * D4 + index % D4;
  var sum = vec4f();
  for (var i = 0u; i < length; i++) { sum += load_x4(x[at]); at += D4; }
  y[index] = store_y4(sum / f32(max(length, 1u)));
}
