// Dynamic thresholding by a quantile of each sample, one element a thread: the definition as a kernel, for samples of any size.
// x0, y [N, SIZE], quantile [N]. Prelude: SIZE (elements a sample), MAX (the most that the threshold may be).

@group(0) @binding(0) var<storage, read> x0: array<f32>;
@group(0) @binding(1) var<storage, read> quantile: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let s = clamp(quantile[index / SIZE], 1.0, MAX);
  let v = x0[index] / s;
  // Not clamp(): that may turn a NaN into a picture that looks drawn.
  let one = f32(1.0);
  y[index] = select(select(v, -one, v < -one), one, v > one);
}
