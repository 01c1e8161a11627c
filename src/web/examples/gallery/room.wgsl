// The gallery's light and materials: lamps on pictures, a skylight, contact shadows, an oak floor that mirrors the room.
// Vertices: position, normal, uv, material, slot; `room.ts` numbers the materials.

const frame_count = 10u;
const hall = vec3f(7.0, 4.2, 4.5); // half length, height, half width
const skylight = vec2f(4.6, 1.3); // half length, half width
const lamp_reach = 3.2; // metres from a frame that its lamp lights at all
const picture_texels = 64.0;
const label_cells = vec2f(2.0, 6.0);
const picture_cells = vec2f(4.0, 3.0);

struct View {
  clip: mat4x4f,
  eye: vec4f,
}

struct Frame {
  center: vec3f,
  lit: f32, // 0 to 1: how far its lamp is up
  normal: vec3f,
  filled: f32, // 1 once there is a picture, be it half formed
}

@group(0) @binding(0) var<uniform> view: View;
@group(0) @binding(1) var<uniform> frames: array<Frame, frame_count>;
@group(0) @binding(2) var pictures: texture_2d<f32>;
@group(0) @binding(3) var labels: texture_2d<f32>;
@group(0) @binding(4) var smooth_sampler: sampler;

struct Surface {
  @builtin(position) clip: vec4f,
  @location(0) at: vec3f,
  @location(1) normal: vec3f,
  @location(2) uv: vec2f,
  @location(3) @interpolate(flat) kind: u32,
  @location(4) @interpolate(flat) slot: f32,
  @location(5) @interpolate(flat) mirrored: u32,
}

struct Vertex {
  @location(0) at: vec3f,
  @location(1) normal: vec3f,
  @location(2) uv: vec2f,
  @location(3) kind: f32,
  @location(4) slot: f32,
}

// Instance 1 is the room turned over at the floor, as a mirror shows it.
@vertex
fn place(v: Vertex, @builtin(instance_index) mirrored: u32) -> Surface {
  let shown = select(v.at, v.at * vec3f(1.0, -1.0, 1.0), mirrored == 1u);
  return Surface(view.clip * vec4f(shown, 1.0), v.at, v.normal, v.uv, u32(v.kind), v.slot, mirrored);
}

@fragment
fn shade(s: Surface) -> @location(0) vec4f {
  let dx = dpdx(s.uv);
  let dy = dpdy(s.uv);
  // A polished floor is rough: what is far above it dissolves.
  let reach = select(1.0, exp(-0.42 * s.at.y), s.mirrored == 1u);
  var color: vec3f;
  switch s.kind {
    case 0u: { color = wall(s) * light_on_wall(s.at, s.normal); }
    case 2u: { color = ceiling(s); }
    case 3u: { color = wood(s) * light_on_frame(s) + gloss(s); }
    case 4u: { return vec4f(encode(picture(s, dx, dy) * reach), 1.0); }
    case 5u: { color = mount(s) * light_on_frame(s); }
    case 6u: { color = label(s, dx, dy).rgb * (0.25 + light_on_wall(s.at, s.normal)); }
    case 7u: { color = vec3f(0.30, 0.13, 0.06) * light(s.at, s.normal) + 0.6 * gloss(s); }
    case 8u: { color = vec3f(0.04) * sky(s.at, s.normal) + gloss(s); }
    default: { color = mix(wall(s), vec3f(0.82, 0.77, 0.66), label(s, dx, dy).r) * light_on_wall(s.at, s.normal); }
  }
  return vec4f(develop(color * reach, s.clip.xy), 1.0);
}

// Drawn over the mirrored room: what the floor does not mirror, it hides.
@fragment
fn shade_floor(s: Surface) -> @location(0) vec4f {
  let color = floor_color(s.at, fwidth(s.at).xz) * light(s.at, s.normal);
  let grazing = 1.0 - normalize(view.eye.xyz - s.at).y;
  let mirror = 0.07 + 0.60 * pow(grazing, 4.0);
  return vec4f(develop(color, s.clip.xy), 1.0 - mirror);
}

// Light that arrives, in white units.
fn light(at: vec3f, normal: vec3f) -> vec3f {
  var sum = sky(at, normal);
  for (var i = 0u; i < frame_count; i++) {
    if distance(at, frames[i].center) < lamp_reach { sum += lamp(frames[i], at, normal); }
  }
  return sum;
}

// A wall has light from the lamps before it, and the shadows that its frames throw.
fn light_on_wall(at: vec3f, normal: vec3f) -> vec3f {
  var sum = sky(at, normal);
  for (var i = 0u; i < frame_count; i++) {
    let frame = frames[i];
    if dot(normal, frame.normal) < 0.5 || distance(at, frame.center) > lamp_reach { continue; }
    let from_center = at - frame.center;
    let p = vec2f(dot(from_center, cross(vec3f(0.0, 1.0, 0.0), normal)), from_center.y + 0.10);
    let outside = length(max(abs(p) - vec2f(0.84), vec2f(0.0)));
    sum += lamp(frame, at, normal) * mix(0.30, 1.0, smoothstep(0.0, 0.20, outside));
  }
  return sum;
}

fn light_on_frame(s: Surface) -> vec3f {
  return sky(s.at, s.normal) + lamp(frames[u32(s.slot)], s.at, s.normal);
}

fn sky(at: vec3f, normal: vec3f) -> vec3f {
  let ray = vec3f(clamp(at.x, -skylight.x, skylight.x), hall.y, clamp(at.z, -skylight.y, skylight.y)) - at;
  let far = dot(ray, ray);
  let direct = max(0.75 * dot(normal, ray) * inverseSqrt(far) + 0.25, 0.0) * 9.5 / (8.0 + far);
  return (vec3f(0.70, 0.86, 1.0) * direct * 0.5 + vec3f(0.085, 0.082, 0.076)) * corner_shade(at, normal);
}

fn lamp(frame: Frame, at: vec3f, normal: vec3f) -> vec3f {
  let source = vec3f(frame.center.x, hall.y - 0.3, frame.center.z) + frame.normal * 1.25;
  let ray = source - at;
  let far = dot(ray, ray);
  let direction = ray * inverseSqrt(far);
  let spot = smoothstep(0.80, 0.985, dot(-direction, normalize(frame.center - source)));
  return vec3f(1.0, 0.90, 0.76) * (13.0 * frame.lit * spot * max(dot(normal, direction), 0.0) / far);
}

// Corners see less of the room.
fn corner_shade(at: vec3f, normal: vec3f) -> f32 {
  let near = min(vec3f(hall.x, 0.5 * hall.y, hall.z) - abs(at - vec3f(0.0, 0.5 * hall.y, 0.0)), vec3f(10.0));
  let others = select(near, vec3f(10.0), abs(normal) > vec3f(0.5));
  let bench = length(max(abs(at - vec3f(0.0, 0.24, 0.0)) - vec3f(1.2, 0.24, 0.22), vec3f(0.0)));
  let seen = 1.0 - 0.42 * exp(-others / 0.42);
  return seen.x * seen.y * seen.z * select(1.0, 1.0 - 0.6 * exp(-bench / 0.22), normal.y > 0.5 && at.y < 0.1);
}

fn wall(s: Surface) -> vec3f {
  let along = select(s.at.x, s.at.z, abs(s.normal.x) > 0.5);
  let plaster = 0.94 + 0.10 * noise(vec2f(along, s.at.y) * 9.0) + 0.05 * noise(vec2f(along, s.at.y) * 41.0);
  let skirting = step(s.at.y, 0.13);
  let groove = 1.0 - 0.6 * smoothstep(0.012, 0.0, abs(s.at.y - 0.13));
  return mix(vec3f(0.070, 0.118, 0.135) * plaster, vec3f(0.42, 0.41, 0.39), skirting) * groove;
}

fn ceiling(s: Surface) -> vec3f {
  let edge = abs(s.at.xz) - skylight;
  let outside = max(edge.x, edge.y);
  let bars = min(abs(fract(s.at.x / 1.15 + 0.5) - 0.5) * 1.15, abs(s.at.z));
  let glass = vec3f(1.15, 1.3, 1.45) * mix(0.35, 1.0, smoothstep(0.018, 0.03, bars));
  let plain = vec3f(0.26, 0.26, 0.255) * corner_shade(s.at, s.normal) * (0.8 + 0.5 * exp(-max(outside, 0.0) * 1.6));
  return mix(glass, plain, smoothstep(-0.01, 0.01, outside));
}

// Oak boards, 14 cm wide, each with its own tone and grain; what is finer than a pixel averages out.
fn floor_color(at: vec3f, width: vec2f) -> vec3f {
  let row = floor(at.z / 0.14);
  let shift = at.x / 1.7 + hash(vec2f(row, 3.0));
  let board = vec2f(floor(shift), row);
  let tone = 0.72 + 0.5 * hash(board);
  let fine = clamp(1.0 - 30.0 * max(width.x * 0.2, width.y), 0.0, 1.0);
  let grain = noise(vec2f(at.x * 2.5 + 17.0 * hash(board + 5.0), at.z * 70.0)) - 0.5;
  let seam = min(abs(fract(at.z / 0.14 + 0.5) - 0.5) * 0.14, abs(fract(shift + 0.5) - 0.5) * 1.7);
  let gap = 1.0 - 0.55 * smoothstep(0.004 + max(width.x, width.y), 0.0, seam) * clamp(0.006 / max(width.x, width.y), 0.2, 1.0);
  return vec3f(0.34, 0.18, 0.08) * tone * (1.0 + 0.5 * fine * grain) * gap;
}

// Each frame is of another wood; a bar's grain runs along it.
fn wood(s: Surface) -> vec3f {
  let slot = floor(s.slot);
  let pick = hash(vec2f(slot, 1.0));
  let tone = mix(mix(vec3f(0.05, 0.028, 0.018), vec3f(0.30, 0.15, 0.06), pick), vec3f(0.52, 0.33, 0.13), step(0.72, pick));
  let grain = noise(vec2f(s.uv.x * 7.0 + 13.0 * s.slot, s.uv.y * 9.0 + 40.0 * slot));
  return tone * (0.7 + 0.6 * grain);
}

fn gloss(s: Surface) -> vec3f {
  let to_eye = normalize(view.eye.xyz - s.at);
  let to_sky = normalize(vec3f(clamp(s.at.x, -skylight.x, skylight.x), hall.y, 0.0) - s.at);
  return vec3f(0.10, 0.11, 0.12) * pow(max(dot(s.normal, normalize(to_eye + to_sky)), 0.0), 24.0);
}

// The passe-partout: the frame shades its upper edge, a bevel runs round the picture.
fn mount(s: Surface) -> vec3f {
  let half_side = 0.77;
  let p = abs(s.uv - 0.5) * 2.0 * half_side;
  let bevel = smoothstep(0.012, 0.0, max(p.x, p.y) - 0.65);
  let shaded = 1.0 - 0.5 * exp(-s.uv.y * 26.0) - 0.2 * exp(-(half_side - max(p.x, p.y)) * 60.0);
  return vec3f(0.86, 0.84, 0.79) * shaded * (1.0 - 0.35 * bevel);
}

// Texels are shown as small tiles with a crisp edge; from afar they are a picture, from near a mosaic.
fn picture(s: Surface, dx: vec2f, dy: vec2f) -> vec3f {
  let frame = frames[u32(s.slot)];
  let texel = s.uv * picture_texels;
  let width = max(abs(dx) + abs(dy), vec2f(1e-5)) * picture_texels;
  let seam = floor(texel + 0.5);
  let crisp = (seam + clamp((texel - seam) / width, vec2f(-0.5), vec2f(0.5))) / picture_texels;
  let inside = clamp(crisp, vec2f(0.5 / picture_texels), vec2f(1.0 - 0.5 / picture_texels));
  let cell = vec2f(s.slot % picture_cells.x, floor(s.slot / picture_cells.x));
  let color = textureSampleLevel(pictures, smooth_sampler, (cell + inside) / picture_cells, 0.0).rgb;
  let edge = (texel - seam) / max(width, vec2f(0.10));
  let relief = clamp(0.24 - max(width.x, width.y), 0.0, 0.24);
  let tile = 1.0 + relief * (clamp(1.0 - abs(edge.y), 0.0, 1.0) * sign(edge.y) - clamp(1.0 - abs(edge.x), 0.0, 1.0) * 0.5);
  let linen = vec3f(0.62, 0.60, 0.56) * (0.9 + 0.2 * noise(s.uv * 180.0));
  return clamp(mix(linen, color * tile, frame.filled) * (0.35 + 0.65 * frame.lit) * (0.75 + 0.25 * light_on_frame(s)), vec3f(0.0), vec3f(1.0));
}

fn label(s: Surface, dx: vec2f, dy: vec2f) -> vec4f {
  let cell = vec2f(s.slot % label_cells.x, floor(s.slot / label_cells.x));
  return textureSampleGrad(labels, smooth_sampler, (cell + s.uv) / label_cells, dx / label_cells, dy / label_cells);
}

// Light to screen: the shoulder of a film, sRGB, and a little grain against banding.
fn develop(color: vec3f, pixel: vec2f) -> vec3f {
  let x = color * 0.8;
  let film = clamp((x * (2.51 * x + 0.03)) / (x * (2.43 * x + 0.59) + 0.14), vec3f(0.0), vec3f(1.0));
  return encode(film) + (hash(pixel) - 0.5) / 200.0;
}

// Done here and not by an sRGB view of the canvas: not every adapter encodes when it resolves samples.
fn encode(linear: vec3f) -> vec3f {
  return select(1.055 * pow(linear, vec3f(1.0 / 2.4)) - 0.055, 12.92 * linear, linear <= vec3f(0.0031308));
}

fn hash(p: vec2f) -> f32 {
  let q = fract(p * vec2f(0.1031, 0.1130));
  let r = q + dot(q, q.yx + 33.33);
  return fract((r.x + r.y) * r.x * 7.13);
}

fn noise(p: vec2f) -> f32 {
  let i = floor(p);
  let f = fract(p);
  let u = f * f * (3.0 - 2.0 * f);
  return mix(
    mix(hash(i), hash(i + vec2f(1.0, 0.0)), u.x),
    mix(hash(i + vec2f(0.0, 1.0)), hash(i + vec2f(1.0, 1.0)), u.x),
    u.y,
  );
}
