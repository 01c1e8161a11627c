// The sum of five tensors by their weights, one element a thread: the definition as a kernel, for samples of any size.
// a, b, c, d, e, y [N, ...]; weights [5].

@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> c: array<f32>;
@group(0) @binding(3) var<storage, read> d: array<f32>;
@group(0) @binding(4) var<storage, read> e: array<f32>;
@group(0) @binding(5) var<storage, read> weights: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  // A weight of 0 leaves its operand unread: it may hold anything, and 0 times infinity is not 0.
  var sum = f32();
  if (weights[0] != 0.0) { sum += weights[0] * a[index]; }
  if (weights[1] != 0.0) { sum += weights[1] * b[index]; }
  if (weights[2] != 0.0) { sum += weights[2] * c[index]; }
  if (weights[3] != 0.0) { sum += weights[3] * d[index]; }
  if (weights[4] != 0.0) { sum += weights[4] * e[index]; }
  y[index] = sum;
}
