// Bandwidth: y = x, EACH vec4 a thread; side by side with those of its neighbours (CONTIGUOUS false), or in a row, as suits processors.
// x and y [n]. Prelude: THREADS, EACH, CONTIGUOUS.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(THREADS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(num_workgroups) groups: vec3u, @builtin(local_invocation_index) index: u32) {
  let first = (group.x + group.y * groups.x) * THREADS * EACH;
  for (var k = 0u; k < EACH; k++) {
    let i = first + select(k * THREADS + index, index * EACH + k, CONTIGUOUS);
    if (i < arrayLength(&y)) { y[i] = x[i]; }
  }
}
