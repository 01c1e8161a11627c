// Convolution, one output a thread: the definition as a kernel, for f32 tensors of any shape.
// x [B, H, W, C], x2 [B, H, W, C2] (further channels, after those of x), w [KH, KW, C + C2, O], b [O], r and y [B, HO, WO, O].
// Prelude: H, W, C, X2_C, HO, WO, O, KH, KW, STRIDE, PADDING, UPSAMPLE, HAS_BIAS, HAS_RESIDUAL, ACTIVATION.

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
  let channel = index % O;
  let pixel = index / O;
  let column = pixel % WO;
  let row = pixel / WO % HO;
  let sample = pixel / (WO * HO);
  var sum = 0.0;
  for (var i = 0u; i < KH; i++) {
    for (var j = 0u; j < KW; j++) {
      let top = row * STRIDE + i;
      let left = column * STRIDE + j;
      if (top < PADDING || top >= H * UPSAMPLE + PADDING || left < PADDING || left >= W * UPSAMPLE + PADDING) { continue; }
      let source = (sample * H + (top - PADDING) / UPSAMPLE) * W + (left - PADDING) / UPSAMPLE;
      let weights = (i * KW + j) * (C + X2_C) * O + channel;
      for (var c = 0u; c < C; c++) { sum += x[source * C + c] * w[weights + c * O]; }
      for (var c = 0u; c < X2_C; c++) { sum += x2[source * X2_C + c] * w[weights + (C + c) * O]; }
    }
  }
  if (HAS_BIAS) { sum += b[channel]; }
  sum = activate(vec4f(sum)).x;
  if (HAS_RESIDUAL) { sum += r[index]; }
  y[index] = sum;
}
