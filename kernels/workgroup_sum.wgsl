// Sum over a workgroup by a tree in workgroup memory; put before kernels for GPUs that reduce. Prelude: THREADS (a power of two).

var<workgroup> partial: array<f32, THREADS>;

// Every thread gets the sum; to be called in uniform control flow.
fn workgroup_sum(value: f32, index: u32) -> f32 {
  partial[index] = value;
  workgroupBarrier();
  for (var stride = THREADS / 2u; stride > 0u; stride /= 2u) {
    if (index < stride) { partial[index] += partial[index + stride]; }
    workgroupBarrier();
  }
  let sum = partial[0];
  // The next call must not overwrite what a slower thread still reads.
  workgroupBarrier();
  return sum;
}
