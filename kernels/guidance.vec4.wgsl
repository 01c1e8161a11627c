// Guidance, four elements a thread: for samples of a multiple of 4 elements.
// model [2N, SIZE], conditional then base; weight [N]; y [N, SIZE]. Prelude: SIZE (vec4s a sample).

@group(0) @binding(0) var<storage, read> model: array<vec4f>;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let base = model[arrayLength(&y) + index];
  y[index] = base + weight[index / SIZE] * (model[index] - base);
}
