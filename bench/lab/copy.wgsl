// Bandwidth: y = x, a vec4 a thread.
// x and y [n]. Prelude: THREADS.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = id.x + id.y * groups.x * THREADS;
  if (i < arrayLength(&y)) { y[i] = x[i]; }
}
