// Standard normals from a counter, four at a time: for any adapter, samples of a multiple of 4 elements.
// key [N] of (seed low, seed high, stream, reserved), y [N, SIZE]. Prelude: SIZE (vec4s a sample); philox and box_muller in front.

@group(0) @binding(0) var<storage, read> key: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let k = key[index / SIZE];
  let words = philox4x32(vec4u(index % SIZE, k.z, 0u, 0u), k.xy);
  y[index] = vec4f(box_muller(words.xy), box_muller(words.zw));
}
