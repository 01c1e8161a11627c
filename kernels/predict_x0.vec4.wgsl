// The clean picture that a noisy one and the model's output imply, clipped, four elements a thread (samples of a multiple of 4).
// x, m, y [N, ...]. Prelude: CLIPPED, CLIP (the clip's half-width); coefficients in front.

@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> m: array<vec4f>;
@group(0) @binding(2) var<storage, read> c: Coefficients;
@group(0) @binding(3) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  var x0 = c.px * x[index] + c.pm * m[index];
  // Not clamp(): that may turn a NaN into a picture that looks drawn.
  if (CLIPPED) {
    let high = vec4f(CLIP);
    x0 = select(select(x0, -high, x0 < -high), high, x0 > high);
  }
  y[index] = x0;
}
