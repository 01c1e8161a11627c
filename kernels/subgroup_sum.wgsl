// Sum over a workgroup by the subgroups' own addition; put before kernels for GPUs that reduce, instead of `workgroup_sum`. Two barriers where the
// tree has one a halving; nothing is assumed of how threads form subgroups. Not yet measured on a GPU. Prelude: THREADS.

var<workgroup> partial: array<f32, THREADS>;

// Every thread gets the sum; to be called in uniform control flow.
fn workgroup_sum(value: f32, index: u32) -> f32 {
  let own = subgroupAdd(value);
  partial[index] = select(0.0, own, subgroupElect());
  workgroupBarrier();
  // Every subgroup adds up the sums of all.
  let lanes = subgroupAdd(1u);
  var rest = 0.0;
  for (var i = subgroupExclusiveAdd(1u); i < THREADS; i += lanes) { rest += partial[i]; }
  let sum = subgroupAdd(rest);
  // The next call must not overwrite what a slower thread still reads.
  workgroupBarrier();
  return sum;
}
