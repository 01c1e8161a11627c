// The p-quantile of |x| of every sample by radix selection, one thread a sample and no barrier: for software adapters.
// x [N, SIZE], y [N]. Prelude: SIZE, RANK (of the order statistic below the quantile), FRACTION (of the way to the next one).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// Few bins: SwiftShader compiles for as long as the histogram is large (0.6 s for 2048), for little speed.
const BINS = 256u;
const DIGIT = 8u;

// Workgroup memory because a private array is slow to index there; the workgroup is one thread.
var<workgroup> histogram: array<u32, BINS>;

// Floats that are not negative order as their bits do.
fn magnitude(index: u32) -> u32 {
  return bitcast<u32>(x[index]) & 0x7fffffffu;
}

@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3u) {
  let first = group.x * SIZE;
  // What is known of the order statistic: its upper bits, its rank among the values that share them, and how many do.
  var found = 0u;
  var rank = RANK;
  var ties = SIZE;
  // The sign is gone: digits of 8, 8, 8 and 7 bits are left.
  var known = 31u;
  while (known > 0u) {
    let shift = max(known, DIGIT) - DIGIT;
    for (var bin = 0u; bin < BINS; bin++) { histogram[bin] = 0u; }
    for (var i = first; i < first + SIZE; i++) {
      let bits = magnitude(i);
      if (bits >> known == found >> known) { histogram[(bits >> shift) & (BINS - 1u)]++; }
    }
    var bin = 0u;
    while (rank >= histogram[bin]) {
      rank -= histogram[bin];
      bin++;
    }
    found |= bin << shift;
    ties = histogram[bin];
    known = shift;
  }
  var above = found;
  if (FRACTION > 0.0 && rank + 1u == ties) {
    above = 0xffffffffu;
    for (var i = first; i < first + SIZE; i++) {
      let bits = magnitude(i);
      if (bits > found) { above = min(above, bits); }
    }
  }
  let low = bitcast<f32>(found);
  y[group.x] = low + (bitcast<f32>(above) - low) * FRACTION;
}
