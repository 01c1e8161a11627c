// Activations that kernels fuse into their epilogue.

import silu from "../../kernels/activation.silu.wgsl";
import all from "../../kernels/activation.wgsl";

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

/** What is put before a kernel that has this one; kernels with none or silu share a pipeline. */
export function activationSource(activation: Activation = "none"): string {
  return codes[activation] > codes.silu ? all : silu;
}

/** The activation in f64. */
export function activate(v: number, activation: Activation): number {
  if (activation === "silu") return v / (1 + Math.exp(-v));
  if (activation === "gelu") return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  if (activation === "quick_gelu") return v / (1 + Math.exp(-1.702 * v));
  if (activation === "gelu_erf") return 0.5 * v * (1 + erf(v * Math.SQRT1_2));
  return v;
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
