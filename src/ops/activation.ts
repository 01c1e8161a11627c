// Activations that kernels fuse into their epilogue.

/**
 * `gelu` is the tanh approximation (Hendrycks & Gimpel, 2016, section 2), as T5 v1.1 uses it, `quick_gelu` the logistic one, v / (1 + e^(-1.702 v)),
 * of the same section, as CLIP does, and `gelu_erf` the definition itself, v times the normal distribution function.
 */
export type Activation = "none" | "silu" | "gelu" | "quick_gelu" | "gelu_erf";

const codes: Record<Activation, number> = { none: 0, silu: 1, gelu: 2, quick_gelu: 3, gelu_erf: 4 };

/** The number by which kernels know an activation. */
export function activationCode(activation: Activation = "none"): number {
  return codes[activation];
}

/** The activation in f64. */
export function activate(v: number, activation: Activation): number {
  if (activation === "silu") return v / (1 + Math.exp(-v));
  if (activation === "gelu") return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  if (activation === "quick_gelu") return v / (1 + Math.exp(-1.702 * v));
  if (activation === "gelu_erf") return 0.5 * v * (1 + erf(v * Math.SQRT1_2));
  if (activation === "gelu_erf") return v * normalCdf(v);
  if (activation === "quick_gelu") return v / (1 + Math.exp(-1.702 * v));
  return v;
}

/** Phi(v), the normal distribution's: by its series about 0, and by a continued fraction of its tail (Abramowitz & Stegun, 26.2.10 and 26.2.14). */
function normalCdf(v: number): number {
  const density = Math.exp((-v * v) / 2) / Math.sqrt(2 * Math.PI);
  if (Math.abs(v) < 4) {
    let sum = 0;
    for (let term = v, n = 1; sum + term !== sum; n += 2, term *= (v * v) / n) sum += term;
    return 0.5 + density * sum;
  }
  let fraction = Math.abs(v);
  for (let n = 40; n > 0; n--) fraction = Math.abs(v) + n / fraction;
  return v < 0 ? density / fraction : 1 - density / fraction;
}

// Abramowitz & Stegun 7.1.6: every term has the sign of x, so nothing cancels.
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * x;
  let sum = term;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return sum;
}
