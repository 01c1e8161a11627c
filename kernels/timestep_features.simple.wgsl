// Sinusoidal features of a timestep, one frequency a thread, right to single precision at angles of thousands of radians.
// t [B], y [B, 2 HALF]. Prelude: HALF, SIN_FIRST, TURNS_HEAD + TURNS_TAIL (of frequency 0, per unit of t), RATIO_HEAD + RATIO_TAIL
// (of one frequency to the one before). An angle of 1000 in f32 is off by 3e-5 already, so whole turns are dropped from an exact product.

@group(0) @binding(0) var<storage, read> t: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// A number of about 36 bits as head + tail; the head has 12 significant bits, so that a product of two heads is exact.
struct Wide { head: f32, tail: f32 }

fn widen(v: f32) -> Wide {
  let head = bitcast<f32>(bitcast<u32>(v) & 0xfffff000u);
  return Wide(head, v - head);
}

fn tail_of_product(a: Wide, b: Wide) -> f32 { return a.head * b.tail + (a.tail * b.head + a.tail * b.tail); }

fn product(a: Wide, b: Wide) -> Wide {
  let head = widen(a.head * b.head);
  return Wide(head.head, head.tail + tail_of_product(a, b));
}

// a b less its whole turns, in [-0.5, 0.5].
fn fraction_of_product(a: Wide, b: Wide) -> f32 {
  let head = a.head * b.head;
  let part = (head - round(head)) + tail_of_product(a, b);
  return part - round(part);
}

// (cos, sin) of up to half a turn: Taylor polynomials on an eighth, as the built-ins promise no more than 2^-11.
fn circle(turns: f32) -> vec2f {
  let quarter = round(4.0 * turns);
  let a = 6.283185307 * (turns - 0.25 * quarter);
  let q = a * a;
  let c = 1.0 - q * (1.0 / 2.0 - q * (1.0 / 24.0 - q * (1.0 / 720.0 - q / 40320.0)));
  let s = a * (1.0 - q * (1.0 / 6.0 - q * (1.0 / 120.0 - q * (1.0 / 5040.0 - q / 362880.0))));
  switch (i32(quarter) & 3) {
    case 0: { return vec2f(c, s); }
    case 1: { return vec2f(-s, c); }
    case 2: { return vec2f(-c, -s); }
    default: { return vec2f(s, -c); }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y) / 2u) { return; }
  let sample = index / HALF;
  let i = index % HALF;
  // TURNS * RATIO^i by repeated squaring.
  var frequency = Wide(TURNS_HEAD, TURNS_TAIL);
  var power = Wide(RATIO_HEAD, RATIO_TAIL);
  for (var bits = i; bits > 0u; bits >>= 1u) {
    if ((bits & 1u) == 1u) { frequency = product(frequency, power); }
    power = product(power, power);
  }
  let point = circle(fraction_of_product(widen(t[sample]), frequency));
  let at = sample * 2u * HALF + i;
  y[at] = select(point.x, point.y, SIN_FIRST);
  y[at + HALF] = select(point.y, point.x, SIN_FIRST);
}
