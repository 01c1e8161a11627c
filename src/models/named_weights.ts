// Weights under the names that PyTorch gives them: a layer's `weight` and `bias`.
import type { GraphBuilder } from "../graph/graph.ts";
import type { Affine, Norm } from "../graph/layers.ts";

/** The builder's weights by the names of their layers. Several names, of layers of one shape: their outputs side by side. */
export function namedWeights(g: GraphBuilder) {
  const under = (names: string | readonly string[], end: string) => [names].flat().map((name) => `${name}.${end}`);
  return {
    /** A matrix [o, i]. */
    linear: (names: string | readonly string[], o: number, i: number, { bias = true } = {}): Affine => ({
      weight: g.weight(under(names, "weight"), [o, i], "linear"),
      bias: bias ? g.weight(under(names, "bias"), [o]) : undefined,
    }),
    /** A square kernel [o, i, kernel, kernel]. */
    conv: (name: string, o: number, i: number, kernel: number) => ({
      weight: g.weight(`${name}.weight`, [o, i, kernel, kernel], "conv"),
      bias: g.weight(`${name}.bias`, [o]),
    }),
    norm: (name: string, channels: number): Norm => ({
      gamma: g.weight(`${name}.weight`, [channels]),
      beta: g.weight(`${name}.bias`, [channels]),
    }),
  };
}
