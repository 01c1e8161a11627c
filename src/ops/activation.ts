// Activations that kernels fuse into their epilogue.

/** `gelu` is the tanh approximation (Hendrycks & Gimpel, 2016, section 2), as T5 v1.1 uses it. */
export type Activation = "none" | "silu" | "gelu";

const codes: Record<Activation, number> = { none: 0, silu: 1, gelu: 2 };

/** The number by which kernels know an activation. */
export function activationCode(activation: Activation = "none"): number {
  return codes[activation];
}

/** The activation in f64. */
export function activate(v: number, activation: Activation): number {
  if (activation === "silu") return v / (1 + Math.exp(-v));
  if (activation === "gelu") return 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)));
  return v;
}
