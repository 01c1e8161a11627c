// Pictures as packed bytes, one pixel a thread: for readback, canvases and textures.
// x [N, H, W, 3] in [-1, 1], y [N, H, W] with red in the lowest byte and alpha 255.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<u32>;

// [-1, 1] as a whole number of 0 to 255.
fn level(v: vec3f) -> vec3f {
  return floor(clamp((v + 1.0) * 127.5, vec3f(0.0), vec3f(255.0)) + 0.5);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let pixel = id.x + id.y * groups.x * 64u;
  if (pixel >= arrayLength(&y)) { return; }
  let rgb = vec3u(level(vec3f(x[3u * pixel], x[3u * pixel + 1u], x[3u * pixel + 2u])));
  y[pixel] = rgb.r | (rgb.g << 8u) | (rgb.b << 16u) | 0xff000000u;
}
