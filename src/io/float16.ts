// Half precision and bfloat16 to and from float32, on whole arrays.

/** IEEE half-precision bits to float32: exact, subnormals, infinities and NaN included. */
export function float16ToFloat32(halves: Uint16Array): Float32Array {
  const values = new Float32Array(halves.length);
  const bits = new Uint32Array(values.buffer);
  for (let i = 0; i < halves.length; i++) {
    const half = halves[i];
    const sign = (half & 0x8000) << 16;
    const magnitude = half & 0x7fff;
    if (magnitude < 0x0400) {
      values[i] = magnitude * 2 ** -24;
      bits[i] |= sign;
    } else {
      // Moves the exponent's bias from 15 to 127; infinity and NaN go from 31 to 255.
      bits[i] = sign | ((magnitude << 13) + (magnitude < 0x7c00 ? 0x38000000 : 0x70000000));
    }
  }
  return values;
}

/** float32 to IEEE half-precision bits, rounded to nearest even; what is beyond 65504 by half a step or more becomes infinity. */
export function float32ToFloat16(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  const scratch = new Float32Array(1);
  const scratchBits = new Uint32Array(scratch.buffer);
  for (let i = 0; i < values.length; i++) {
    scratch[0] = values[i];
    const sign = (scratchBits[0] >>> 16) & 0x8000;
    const magnitude = scratchBits[0] & 0x7fffffff;
    if (magnitude > 0x7f800000) {
      halves[i] = sign | 0x7e00;
    } else if (magnitude >= 0x47800000) {
      halves[i] = sign | 0x7c00;
    } else if (magnitude >= 0x38800000) {
      // A carry out of the mantissa moves to the next exponent, and from the largest one to infinity.
      halves[i] = sign | ((magnitude - 0x38000000 + 0x0fff + ((magnitude >>> 13) & 1)) >>> 13);
    } else {
      // One unit in the last place of 0.5 is 2^-24, the step of half-precision subnormals: the addition rounds.
      scratch[0] = Math.abs(values[i]) + 0.5;
      halves[i] = sign | (scratchBits[0] - 0x3f000000);
    }
  }
  return halves;
}

/** bfloat16 bits to float32: exact. */
export function bfloat16ToFloat32(halves: Uint16Array): Float32Array {
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = halves[i] << 16;
  return new Float32Array(bits.buffer);
}
