// One step of a sampler as a linear combination, one element a thread: the definition as a kernel, for samples of any size.
// x, m, x0, x0_previous, noise, variance, y [N, ...]. Prelude: HAS_PREVIOUS, HAS_NOISE, HAS_VARIANCE; coefficients in front.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read> x0: array<f32>;
@group(0) @binding(3) var<storage, read> x0_previous: array<f32>;
@group(0) @binding(4) var<storage, read> noise: array<f32>;
@group(0) @binding(5) var<storage, read> c: Coefficients;
@group(0) @binding(6) var<storage, read> variance: array<f32>;
@group(0) @binding(7) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  var next = c.cx * x[index] + c.cm * m[index] + c.c0 * x0[index];
  // A coefficient of 0 leaves its operand unread: it may hold anything, and 0 times infinity is not 0.
  if (HAS_PREVIOUS) {
    if (c.c1 != 0.0) { next += c.c1 * x0_previous[index]; }
  }
  if (HAS_NOISE) {
    if (c.cn != 0.0) {
      var drawn = c.cn * noise[index];
      if (HAS_VARIANCE) { drawn *= exp(0.5 * c.cv * (1.0 + variance[index])); }
      next += drawn;
    }
  }
  y[index] = next;
}
