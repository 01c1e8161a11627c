// Quantises weights to 8 bits on their way to the device, 32 rows of four outputs a thread. For any adapter.
// COUNT, STRIDE, OUTPUTS and FIRST multiples of 4. y: the codes [TAPS INPUTS, OUTPUTS], four a word, then for each 32 rows the scales [OUTPUTS], half precision.

@group(0) @binding(1) var<storage, read_write> y: array<u32>;

// The values of four outputs, whose rows of the source begin at `at`, in row `place` of y.
fn four_of(at: u32, place: u32) -> vec4f {
  let stride = u.INPUTS * u.TAPS;
  let first = at + place % u.INPUTS * u.TAPS + place / u.INPUTS;
  return vec4f(value_at(first), value_at(first + stride), value_at(first + 2u * stride), value_at(first + 3u * stride));
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  let rows4 = u.COUNT / 4u;
  let stride = u.INPUTS * u.TAPS;
  if (index >= rows4 * ((stride + 31u) / 32u)) { return; }
  let row4 = index % rows4;
  let block = index / rows4;
  let at = row4 * 4u * stride;
  let end = min(block * 32u + 32u, stride);
  var most = vec4f();
  for (var place = block * 32u; place < end; place++) { most = max(most, abs(four_of(at, place))); }
  // As the kernels will read it.
  let low = pack2x16float(min(most.xy, vec2f(65504.0)));
  let high = pack2x16float(min(most.zw, vec2f(65504.0)));
  let scale = vec4f(unpack2x16float(low), unpack2x16float(high));
  let factor = select(vec4f(), 1.0 / scale, scale > vec4f());
  let outputs4 = u.OUTPUTS / 4u;
  let to = u.FIRST / 4u + row4;
  for (var place = block * 32u; place < end; place++) { y[place * outputs4 + to] = pack4x8snorm(four_of(at, place) * factor); }
  let scales = stride * outputs4 + 2u * (block * outputs4 + to);
  y[scales] = low;
  y[scales + 1u] = high;
}
