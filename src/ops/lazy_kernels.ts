// Kernels that few devices run, in chunks of their own: they come before a plan is made for such a device.
import type { DeviceTraits } from "../gpu/gpu.ts";

const loaded: {
  matrix?: typeof import("./matrix_kernels.ts");
  software?: typeof import("./software_kernels.ts");
} = {};

/** Kernels on subgroup matrices, and large ones for processors; undefined where no device asked for them yet. */
export const lazyKernels: Readonly<typeof loaded> = loaded;

/** Loads the kernels that only a device's kind runs; until then their variants are unfit. */
export async function loadKernelsFor({ matrix, software }: Pick<DeviceTraits, "matrix" | "software">): Promise<void> {
  if (matrix) loaded.matrix ??= await import("./matrix_kernels.ts");
  if (software) loaded.software ??= await import("./software_kernels.ts");
}

/** Why a variant cannot run whose kernel has not come. */
export const notLoaded = "its kernel is not loaded";

/** Why the kernels for processors that hand values round a subgroup cannot run. */
export function unfitForSubgroups({ subgroupSize }: DeviceTraits): string | undefined {
  if (subgroupSize !== 4 && subgroupSize !== 8) return "no fixed subgroup size of 4 or 8";
  return loaded.software ? undefined : notLoaded;
}
