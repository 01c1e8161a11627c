// The dispatches of a step by family: where the time goes.
import type { ProfiledDispatch } from "../../index.ts";
import type { KernelFamily } from "./protocol.ts";

const families: readonly [name: string, ops: RegExp][] = [
  ["Convolution", /^conv2d$/],
  ["Attention", /^attention$/],
  ["Linear", /^(linear|gated_gelu|embedding)$/],
  ["Sampling", /^(guidance|predict_x0|sampler_step|random_normal|rgba8|abs_quantile|dynamic_threshold)$/],
  ["Norms", /norm/],
];

/** Families with their share of a step, the slowest first. */
export function familiesOf(dispatches: readonly ProfiledDispatch[]): KernelFamily[] {
  const groups = new Map<string, ProfiledDispatch[]>();
  for (const dispatch of dispatches) {
    const name = families.find(([, ops]) => ops.test(dispatch.op))?.[0] ?? "Moving and adding";
    groups.set(name, [...(groups.get(name) ?? []), dispatch]);
  }
  const sum = (all: readonly ProfiledDispatch[], key: "milliseconds" | "flops") =>
    all.reduce((total, dispatch) => total + dispatch[key], 0);
  return [...groups]
    .map(([name, all]) => ({
      name,
      kernels: [...new Set(all.map(({ kernel }) => kernel))].sort(),
      dispatches: all.length,
      milliseconds: sum(all, "milliseconds"),
      gflop: sum(all, "flops") / 1e9,
    }))
    .sort((a, b) => b.milliseconds - a.milliseconds);
}
