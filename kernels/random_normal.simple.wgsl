// Standard normals from a counter, one a thread: for samples of any size. A thread draws its block of four and keeps one.
// key [N] of (seed low, seed high, stream, reserved), y [N, SIZE]. Prelude: SIZE (elements a sample); philox and box_muller in front.

@group(0) @binding(0) var<storage, read> key: array<vec4u>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let k = key[index / SIZE];
  let element = index % SIZE;
  let words = philox4x32(vec4u(element / 4u, k.z, 0u, 0u), k.xy);
  let normals = box_muller(select(words.xy, words.zw, (element & 2u) == 2u));
  y[index] = select(normals.x, normals.y, (element & 1u) == 1u);
}
