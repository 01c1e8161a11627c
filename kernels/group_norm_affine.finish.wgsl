// From a group's mean and 1 / deviation to the affine of one channel, FiLM included; shared by the kernels of group_norm_affine.
// gamma, beta [N], film [B or 1, 2 N] (scale, then shift), y [B, 2, N]. Uniform: N (channels of both sources), HAS_FILM.

@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> film: array<f32>;
@group(0) @binding(5) var<storage, read_write> y: array<f32>;

fn samples() -> u32 { return arrayLength(&y) / (2u * u.N); }

fn finish(sample: u32, channel: u32, mean: f32, rstd: f32) {
  var scale = 1.0;
  var shift = 0.0;
  if (u.HAS_FILM != 0u) {
    // One row of film may serve all samples.
    let row = min(sample, arrayLength(&film) / (2u * u.N) - 1u) * 2u * u.N;
    scale += film[row + channel];
    shift = film[row + u.N + channel];
  }
  let a = gamma[channel] * rstd;
  y[sample * 2u * u.N + channel] = a * scale;
  y[sample * 2u * u.N + u.N + channel] = (beta[channel] - mean * a) * scale + shift;
}
