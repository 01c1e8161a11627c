// What a super-resolution stage predicts whose network only says how a picture differs from its smaller one.
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { samplerStep } from "../ops/sampler_step.ts";

/** Signal and noise, alpha and sigma of a variance-preserving schedule. */
interface Scales {
  readonly alpha: number;
  readonly sigma: number;
}

/**
 * v of the noisy picture x, the smaller picture `low` (enlarged and noised) and the network's output, all [B, H, W, 3], f32. Declares `residual` [8],
 * per step, which `residualCoefficients` makes.
 */
export function aroundLow(g: GraphBuilder, x: Value, low: Value, output: Value): Value {
  // A step's linear combination with the smaller picture where a sampler has the clean one.
  return g.scope("residual", () =>
    g.apply(samplerStep, [x, output, low, null, null, g.input("residual", [8], "step"), null], {}),
  );
}

/**
 * Preconditioning (Karras et al. 2022, "Elucidating the design space of diffusion-based generative models", section 5) around the smaller picture.
 * Given that alone, a picture is taken for normal with mean low / alpha_low and variance s^2 = std^2 + (sigma_low / alpha_low)^2. The noisy
 * picture moves the mean and narrows the variance to s^2 sigma^2 / d, with d = alpha^2 s^2 + sigma^2; the network's output is how many deviations
 * from that mean the picture lies. As v = (alpha x - x_0) / sigma, which has no limit to mind at sigma = 0.
 */
export function residualCoefficients(std: number, { alpha, sigma }: Scales, low: Scales): Float32Array<ArrayBuffer> {
  const variance = std ** 2 + (low.sigma / low.alpha) ** 2;
  const d = alpha ** 2 * variance + sigma ** 2;
  const [ofX, ofLow, ofOutput] = [
    (alpha * sigma * (1 - variance)) / d,
    -sigma / (d * low.alpha),
    -Math.sqrt(variance / d),
  ];
  return Float32Array.of(0, 0, ofX, ofOutput, ofLow, 0, 0, 0);
}
