// One picture into a storage texture, one pixel a thread: for apps that draw with what we made.
// x [HEIGHT, WIDTH, 3] in [-1, 1], alpha becomes 1. Prelude: HEIGHT, WIDTH; level in front.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var y: texture_storage_2d<rgba8unorm, write>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= WIDTH || id.y >= HEIGHT) { return; }
  let at = 3u * (id.y * WIDTH + id.x);
  let rgb = level(vec3f(x[at], x[at + 1u], x[at + 2u]));
  textureStore(y, id.xy, vec4f(rgb / 255.0, 1.0));
}
