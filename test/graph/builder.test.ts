// The builder refuses at once what does not fit, in a sentence that names op, operand and shapes.
import { describe, expect, it } from "vitest";
import { ReimagenError } from "../../src/errors.ts";
import { GraphBuilder, weightsOf } from "../../src/graph/graph.ts";
import { add, attention, concat, conv2d, groupNorm, linear } from "../../src/graph/layers.ts";

const error = (build: (g: GraphBuilder) => unknown): ReimagenError => {
  try {
    build(new GraphBuilder());
  } catch (thrown) {
    if (thrown instanceof ReimagenError) return thrown;
  }
  throw new Error("nothing was refused");
};

describe("a wrong shape is refused while the graph is built", () => {
  const cases: [string, (g: GraphBuilder) => unknown, RegExp][] = [
    [
      "a linear layer's weights",
      (g) => linear(g, g.input("x", [2, 8], "step"), { weight: g.weight("w", [4, 12], "linear") }),
      /^linear: w must be \[8, N\], got \[12, 4\]$/,
    ],
    [
      "a linear layer's bias",
      (g) => {
        const affine = { weight: g.weight("w", [4, 8], "linear"), bias: g.weight("b", [8]) };
        return linear(g, g.input("x", [2, 8], "step"), affine);
      },
      /^linear: b must be \[4\], got \[8\]$/,
    ],
    [
      "a convolution's kernel",
      (g) => conv2d(g, g.input("x", [1, 8, 8, 4], "step"), { weight: g.weight("w", [16, 8, 3, 3], "conv") }),
      /^conv2d: w must be \[KH, KW, 4, O\], got \[3, 3, 8, 16\]$/,
    ],
    [
      "a picture smaller than the kernel",
      (g) => conv2d(g, g.input("x", [1, 2, 2, 4], "step"), { weight: g.weight("w", [4, 4, 3, 3], "conv") }),
      /^conv2d: x must be at least 3x3 pixels with padding 0, got \[1, 2, 2, 4\]$/,
    ],
    [
      "a sum",
      (g) => add(g, g.input("a", [2, 4, 8], "step"), g.input("b", [4, 4], "step")),
      /^add: b must be \[2, 4, 8\] or a trailing part of it, got \[4, 4\]$/,
    ],
    [
      "a concatenation",
      (g) => concat(g, g.input("a", [1, 4, 4, 8], "step"), g.input("b", [1, 2, 2, 8], "step")),
      /^concat: b must be \[1, 4, 4, 8\], got \[1, 2, 2, 8\]$/,
    ],
    [
      "a norm's parameters",
      (g) => {
        const norm = { gamma: g.weight("gamma", [8]), beta: g.weight("beta", [4]), groups: 2 };
        return groupNorm(g, g.input("x", [1, 4, 4, 8], "step"), norm);
      },
      /^group_norm_affine: beta must be \[8\], got \[4\]$/,
    ],
    [
      "the table of an attention",
      (g) => {
        const [q, table] = [g.input("q", [2, 5, 24], "step"), g.input("table", [1, 1, 2], "step", "u32")];
        const segment = { keys: 8, values: 16 };
        return attention(
          g,
          { q, table, segments: [q] },
          { heads: 1, headDim: 8, scale: 1, queries: 0, segments: [segment] },
        );
      },
      /^attention: table must be \[2, 1, 2\], got \[1, 1, 2\]$/,
    ],
  ];
  it.each(cases)("%s", (_, build, sentence) => {
    const { code, message } = error(build);
    expect(code).toBe("shape");
    expect(message).toMatch(sentence);
  });
});

it("refuses integers where numbers belong", () => {
  const { code, message } = error((g) => add(g, g.input("a", [4], "step", "u32"), g.input("b", [4], "step")));
  expect([code, message]).toEqual(["dtype", "add: a must be f32 or f16, got u32"]);
});

it("refuses a second input of the same name, and a state whose next value is another shape", () => {
  expect(error((g) => [g.input("x", [4], "step"), g.input("x", [8], "step")]).message).toMatch(
    /^input x is declared twice$/,
  );
  const state = error((g) => {
    const x = g.input("x", [4], "step");
    g.state(x, g.input("y", [8], "step"));
  });
  expect(state.code).toBe("shape");
});

it("declares a weight once, joins several along their first axis, and tells in what order the kernels want it", () => {
  const g = new GraphBuilder();
  const names = ["q", "k", "v"].map((name) => `${name}.weight`);
  const joined = g.weight(names, [8, 4], "linear");
  expect(g.weight(names, [8, 4], "linear")).toBe(joined);
  expect(joined.type.shape).toEqual([4, 24]);
  expect(g.weight("conv", [8, 4, 3, 3], "conv").type.shape).toEqual([3, 3, 4, 8]);
  linear(g, linear(g, g.input("x", [1, 4], "step"), { weight: joined }), { weight: g.weight("o", [4, 24], "linear") });
  linear(g, g.input("y", [1, 4], "step"), { weight: joined });
  expect(weightsOf(g.finish())).toHaveLength(2);
});

it("stores halves where they can be packed, and f32 where channels do not come in fours or precision matters", () => {
  const g = new GraphBuilder("f16");
  const dtypes = [
    g.weight("matrix", [8, 4], "linear"),
    g.weight("odd inputs", [8, 6], "linear"),
    g.weight("odd outputs", [6, 8], "linear"),
    g.weight("odd channels", [8, 3, 3, 3], "conv"),
    g.weight("bias", [8]),
  ].map(({ type }) => type.dtype);
  expect(dtypes).toEqual(["f16", "f32", "f32", "f32", "f32"]);
  const x = linear(g, g.input("x", [1, 4], "step"), { weight: g.weight("matrix", [8, 4], "linear") });
  expect(x.type.dtype).toBe("f16");
  expect(linear(g, x, { weight: g.weight("odd outputs", [6, 8], "linear") }).type.dtype).toBe("f32");
});

it("labels nodes with the scopes they were built in", () => {
  const g = new GraphBuilder();
  const x = g.input("x", [4], "step");
  g.scope("up.1", () => g.scope("conv1", () => add(g, x, x)));
  expect(() => g.scope("broken", () => add(g, x, g.input("y", [3], "step")))).toThrow(ReimagenError);
  g.scope("out", () => add(g, x, x));
  expect(g.finish().nodes.map(({ label }) => label)).toEqual(["up.1/conv1", "out"]);
});
