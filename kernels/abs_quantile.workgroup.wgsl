// The p-quantile of |x| of every sample by radix selection, one workgroup a sample: for hardware.
// x [N, SIZE], y [N]. Prelude: SIZE, RANK (of the order statistic below the quantile), FRACTION (of the way to the next one).

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

// One bin a lane.
const BINS = 256u;
const DIGIT = 8u;

var<workgroup> histogram: array<atomic<u32>, BINS>;
// What is known of the order statistic: its upper bits, its rank among the values that share them, and how many do.
var<workgroup> found: u32;
var<workgroup> rank: u32;
var<workgroup> ties: u32;
var<workgroup> above: atomic<u32>;

// Floats that are not negative order as their bits do.
fn magnitude(index: u32) -> u32 {
  return bitcast<u32>(x[index]) & 0x7fffffffu;
}

// Replaces every bin's count by the sum of those up to it.
fn scan(lane: u32) {
  for (var distance = 1u; distance < BINS; distance *= 2u) {
    var earlier = 0u;
    if (lane >= distance) { earlier = atomicLoad(&histogram[lane - distance]); }
    workgroupBarrier();
    atomicAdd(&histogram[lane], earlier);
    workgroupBarrier();
  }
}

@compute @workgroup_size(BINS)
fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) lane: u32) {
  let first = group.x * SIZE;
  if (lane == 0u) {
    rank = RANK;
    atomicStore(&above, 0xffffffffu);
  }
  // The sign is gone: digits of 8, 8, 8 and 7 bits are left.
  var known = 31u;
  while (known > 0u) {
    let shift = max(known, DIGIT) - DIGIT;
    atomicStore(&histogram[lane], 0u);
    workgroupBarrier();
    for (var i = first + lane; i < first + SIZE; i += BINS) {
      let bits = magnitude(i);
      if (bits >> known == found >> known) { atomicAdd(&histogram[(bits >> shift) & (BINS - 1u)], 1u); }
    }
    workgroupBarrier();
    let own = atomicLoad(&histogram[lane]);
    scan(lane);
    let before = atomicLoad(&histogram[lane]) - own;
    let left = rank - before;
    let holds = rank >= before && left < own;
    workgroupBarrier();
    if (holds) {
      found |= lane << shift;
      rank = left;
      ties = own;
    }
    workgroupBarrier();
    known = shift;
  }
  var least = 0xffffffffu;
  for (var i = first + lane; i < first + SIZE; i += BINS) {
    let bits = magnitude(i);
    if (bits > found) { least = min(least, bits); }
  }
  atomicMin(&above, least);
  workgroupBarrier();
  if (lane == 0u) {
    let low = bitcast<f32>(found);
    var high = low;
    if (FRACTION > 0.0 && rank + 1u == ties) { high = bitcast<f32>(atomicLoad(&above)); }
    y[group.x] = low + (high - low) * FRACTION;
  }
}
