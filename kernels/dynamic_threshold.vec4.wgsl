// Dynamic thresholding by a quantile of each sample, four elements a thread: for samples of a multiple of 4 elements.
// x0, y [N, SIZE], quantile [N]. Prelude: SIZE (vec4s a sample), MAX (the most that the threshold may be).

@group(0) @binding(0) var<storage, read> x0: array<vec4f>;
@group(0) @binding(1) var<storage, read> quantile: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let s = clamp(quantile[index / SIZE], 1.0, MAX);
  let v = x0[index] / s;
  // Not clamp(): that may turn a NaN into a picture that looks drawn.
  let one = vec4f(1.0);
  y[index] = select(select(v, -one, v < -one), one, v > one);
}
