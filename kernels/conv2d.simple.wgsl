// Convolution, one output a thread: the definition as a kernel, for f32 tensors of any shape.
// x [B, H, W, C], x2 [B, H, W, C2] (further channels, after those of x), w [KH, KW, C + C2, O], b [O] or [B, O], r and y [B, HO, WO, O].
// Uniform: H, W, C, X2_C, HO, WO, O, KH, KW, STRIDE, PADDING, UPSAMPLE, HAS_BIAS, BIAS_STRIDE, HAS_RESIDUAL, SCALE (bits of an f32). Prelude: ACTIVATION.

@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> x2: array<f32>;
@group(0) @binding(2) var<storage, read> w: array<f32>;
@group(0) @binding(3) var<storage, read> b: array<f32>;
@group(0) @binding(4) var<storage, read> r: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = id.x + id.y * groups.x * 64u;
  if (index >= arrayLength(&y)) { return; }
  let channel = index % u.O;
  let pixel = index / u.O;
  let column = pixel % u.WO;
  let row = pixel / u.WO % u.HO;
  let sample = pixel / (u.WO * u.HO);
  var sum = 0.0;
  for (var i = 0u; i < u.KH; i++) {
    for (var j = 0u; j < u.KW; j++) {
      let top = row * u.STRIDE + i;
      let left = column * u.STRIDE + j;
      if (top < u.PADDING || top >= u.H * u.UPSAMPLE + u.PADDING || left < u.PADDING || left >= u.W * u.UPSAMPLE + u.PADDING) { continue; }
      let source = (sample * u.H + (top - u.PADDING) / u.UPSAMPLE) * u.W + (left - u.PADDING) / u.UPSAMPLE;
      let weights = (i * u.KW + j) * (u.C + u.X2_C) * u.O + channel;
      for (var c = 0u; c < u.C; c++) { sum += x[source * u.C + c] * w[weights + c * u.O]; }
      for (var c = 0u; c < u.X2_C; c++) { sum += x2[source * u.X2_C + c] * w[weights + (u.C + c) * u.O]; }
    }
  }
  if (u.HAS_BIAS != 0u) { sum += b[sample * u.BIAS_STRIDE + channel]; }
  sum = activate(vec4f(sum), ACTIVATION).x;
  if (u.HAS_RESIDUAL != 0u) { sum += r[index]; }
  y[index] = sum * bitcast<f32>(u.SCALE);
}
