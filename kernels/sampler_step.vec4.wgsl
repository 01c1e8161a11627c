// One step of a sampler as a linear combination, four elements a thread: for samples of a multiple of 4 elements.
// x, m, x0, x0_previous, noise, variance, y [N, ...]. Prelude: HAS_PREVIOUS, HAS_NOISE, HAS_VARIANCE; coefficients in front.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> m: array<vec4f>;
@group(0) @binding(2) var<storage, read> x0: array<vec4f>;
@group(0) @binding(3) var<storage, read> x0_previous: array<vec4f>;
@group(0) @binding(4) var<storage, read> noise: array<vec4f>;
@group(0) @binding(5) var<storage, read> c: Coefficients;
@group(0) @binding(6) var<storage, read> variance: array<vec4f>;
@group(0) @binding(7) var<storage, read_write> y: array<vec4f>;

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
