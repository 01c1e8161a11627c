// The clean picture that a noisy one and the model's output imply, clipped, one element a thread: for samples of any size.
// x, m, y [N, ...]. Prelude: CLIPPED, CLIP (the clip's half-width); coefficients in front.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> m: array<f32>;
@group(0) @binding(2) var<storage, read> c: Coefficients;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  var x0 = c.px * x[index] + c.pm * m[index];
  // Not clamp(): that may turn a NaN into a picture that looks drawn.
  if (CLIPPED) {
    let high = f32(CLIP);
    x0 = select(select(x0, -high, x0 < -high), high, x0 > high);
  }
  y[index] = x0;
}
