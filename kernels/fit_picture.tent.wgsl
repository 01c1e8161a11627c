// A texture of any size as a neighbour picture, fitted whole into a square on white, one pixel an invocation: for pictures that an app hands over.
// x W x H texels with straight alpha, y [images, SIDE, SIDE, 3] in [-1, 1]. Prelude: parameters SIDE, WIDTH, HEIGHT (of x), FIT_WIDTH, FIT_HEIGHT (within
// the square), IMAGE (which of y), LINEAR (texels are decoded from sRGB as they are loaded). A tent filter whose width is that of an output pixel in x:
// the very texel where sizes are equal, bilinear where it enlarges, without aliasing where it shrinks.

@group(0) @binding(0) var x: texture_2d<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8, 8)
fn main(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= u.SIDE || id.y >= u.SIDE) { return; }
  let size = vec2f(f32(u.WIDTH), f32(u.HEIGHT));
  let fit = vec2u(u.FIT_WIDTH, u.FIT_HEIGHT);
  let at = vec2i(id.xy) - vec2i((u.SIDE - fit) / 2u);
  var color = vec3f(1.0);
  if (all(at >= vec2i(0)) && all(at < vec2i(fit))) {
    let scale = size / vec2f(fit);
    color = filtered((vec2f(at) + 0.5) * scale, max(scale, vec2f(1.0)));
  }
  let v = color * 2.0 - 1.0;
  let out = 3u * ((u.IMAGE * u.SIDE + id.y) * u.SIDE + id.x);
  y[out] = v.r;
  y[out + 1u] = v.g;
  y[out + 2u] = v.b;
}

// The mean of the texels around `center`, each on white, weighted by a tent that reaches `radius` texels.
fn filtered(center: vec2f, radius: vec2f) -> vec3f {
  let last = vec2i(i32(u.WIDTH), i32(u.HEIGHT)) - 1;
  let first = max(vec2i(floor(center - radius)), vec2i(0));
  let end = min(vec2i(ceil(center + radius)), last);
  var sum = vec4f(0.0);
  for (var row = first.y; row <= end.y; row++) {
    let vertical = max(0.0, 1.0 - abs(f32(row) + 0.5 - center.y) / radius.y);
    if (vertical == 0.0) { continue; }
    for (var column = first.x; column <= end.x; column++) {
      let weight = vertical * max(0.0, 1.0 - abs(f32(column) + 0.5 - center.x) / radius.x);
      sum += weight * vec4f(on_white(textureLoad(x, vec2i(column, row), 0)), 1.0);
    }
  }
  return sum.rgb / sum.a;
}

fn on_white(texel: vec4f) -> vec3f {
  var rgb = texel.rgb;
  if (u.LINEAR != 0u) { rgb = encoded(rgb); }
  return clamp(rgb * texel.a + (1.0 - texel.a), vec3f(0.0), vec3f(1.0));
}

// sRGB's transfer function (IEC 61966-2-1).
fn encoded(linear: vec3f) -> vec3f {
  let v = clamp(linear, vec3f(0.0), vec3f(1.0));
  return select(1.055 * pow(v, vec3f(1.0 / 2.4)) - 0.055, 12.92 * v, v <= vec3f(0.0031308));
}
