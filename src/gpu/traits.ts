// What a device can do, as far as the choice of kernels depends on it.

/** What decides which kernels can run and which are preferred. */
export interface DeviceTraits {
  /** The adapter computes on the CPU (SwiftShader, llvmpipe, WARP): no barriers and few loads beat tiling. */
  readonly software: boolean;
  /** Lanes a subgroup when that is one known number and the device has `subgroups`; else 0. */
  readonly subgroupSize: number;
  readonly shaderF16: boolean;
  readonly subgroupMatrix: boolean;
  /** The shape of subgroup matrices that kernels multiply by, where there is one that they can. */
  readonly matrix?: MatrixShape;
  readonly timestamps: boolean;
  readonly limits: GPUSupportedLimits;
}

/** Matrices that a subgroup multiplies: M x K by K x N, with sums in f32. */
export interface MatrixShape {
  readonly M: number;
  readonly N: number;
  readonly K: number;
  /** Element type of what is multiplied. */
  readonly operands: "f16" | "f32";
}

/** Reads a device and its adapter. */
export function traitsOf(device: GPUDevice, info: GPUAdapterInfo): DeviceTraits {
  const { subgroupMinSize: least, subgroupMaxSize: most } = info;
  const matrix = matrixOf(device, info);
  return {
    software:
      info.isFallbackAdapter ||
      /swiftshader|llvmpipe|software|warp/i.test(`${info.architecture} ${info.device} ${info.description}`),
    subgroupSize: device.features.has("subgroups") && least === most ? (least ?? 0) : 0,
    shaderF16: device.features.has("shader-f16"),
    subgroupMatrix: device.features.has("chromium-experimental-subgroup-matrix" as GPUFeatureName),
    ...(matrix && { matrix }),
    timestamps: device.features.has("timestamp-query"),
    limits: device.limits,
  };
}

/** What Dawn says of an adapter's matrices; not of the standard yet. */
interface SubgroupMatrixConfig extends Pick<MatrixShape, "M" | "N" | "K"> {
  readonly componentType: string;
  readonly resultComponentType: string;
}

/** The largest shape, of halves rather than of singles. */
function matrixOf({ features }: GPUDevice, info: GPUAdapterInfo): MatrixShape | undefined {
  const { subgroupMatrixConfigs = [] } = info as { subgroupMatrixConfigs?: Iterable<SubgroupMatrixConfig> };
  if (!features.has("chromium-experimental-subgroup-matrix" as GPUFeatureName)) return undefined;
  return (
    [...subgroupMatrixConfigs]
      .filter(({ resultComponentType }) => resultComponentType === "f32")
      .flatMap(({ M, N, K, componentType: operands }) =>
        operands === "f32" || (operands === "f16" && features.has("shader-f16")) ? [{ M, N, K, operands }] : [],
      )
      // Kernels move four values at a time and sum over slices of 32.
      .filter(({ M, N, K }) => N % 4 === 0 && 32 % K === 0 && (M * N) % 4 === 0)
      .sort((a, b) => a.operands.localeCompare(b.operands) || b.M * b.N * b.K - a.M * a.N * a.K)[0] as
      | MatrixShape
      | undefined
  );
}
