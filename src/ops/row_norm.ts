// What norms over the last axis share: their three kernels differ in the WGSL alone.
import workgroupSum from "../../kernels/workgroup_sum.wgsl";
import { lazyKernels, unfitForHardware, unfitForSoftware, unfitForSubgroupSum } from "./lazy_kernels.ts";
import { grid1d, type Launch, sizeOf, storageOf, type TensorType, type Variant } from "./op.ts";
import { unfitForScalar, unfitForVec4 } from "./operands.ts";

/** Attributes of norms over the last axis. */
export interface RowNormAttributes {
  /** Added to the variance or mean square. */
  readonly epsilon: number;
  /** Storage of the result; that of x when absent. */
  readonly dtype?: "f32" | "f16";
}

/** A row a thread without barriers, a row a workgroup, and scalars for rows of any width. `operands`: x and its parameters; `lazy`: what the first two are called. */
export function rowNormVariants(
  name: string,
  operands: number,
  simple: string,
  lazy: "layerNorm" | "rmsNorm",
): Variant<RowNormAttributes>[] {
  const launch = (
    variant: string,
    code: string,
    [x, y]: readonly [TensorType, TensorType],
    epsilon: number,
    rowsAGroup: number,
  ): Launch => ({
    kernel: {
      name: `${name}.${variant}`,
      code,
      bindings: [...new Array<"read">(operands).fill("read"), "write"],
      storage: { x: storageOf(x), y: storageOf(y) },
      constants: { THREADS: 64 },
      scalars: { EPSILON: epsilon },
    },
    workgroups: grid1d(sizeOf(x) / x.shape.at(-1)!, rowsAGroup),
  });
  return [
    {
      name: `${name}.register`,
      suits: "software",
      unfit: (_, [x]) => unfitForSoftware() ?? unfitForVec4(x),
      launch: ([x], y, { epsilon }) => launch("register", lazyKernels.software![lazy], [x!, y], epsilon, 8),
    },
    {
      name: `${name}.subgroup`,
      suits: "hardware",
      unfit: (traits, [x]) => unfitForSubgroupSum(traits) ?? unfitForVec4(x),
      launch([x], y, { epsilon }) {
        const code = lazyKernels.hardware!.subgroupSum + lazyKernels.hardware![lazy];
        const { kernel, ...rest } = launch("subgroup", code, [x!, y], epsilon, 1);
        return { kernel: { ...kernel, enable: ["subgroups"] }, ...rest };
      },
    },
    {
      name: `${name}.workgroup`,
      suits: "hardware",
      unfit: (_, [x]) => unfitForHardware() ?? unfitForVec4(x),
      launch: ([x], y, { epsilon }) =>
        launch("workgroup", workgroupSum + lazyKernels.hardware![lazy], [x!, y], epsilon, 1),
    },
    {
      name: `${name}.simple`,
      suits: "any",
      unfit: (_, [x], y) => unfitForScalar(x, y),
      launch: ([x], y, { epsilon }) => launch("simple", simple, [x!, y], epsilon, 8),
    },
  ];
}
