// Kernels that not every device runs, in chunks of their own: they come before a plan is made for such a device.
import type { DeviceTraits } from "../gpu/traits.ts";

const loaded: {
  hardware?: typeof import("./hardware_kernels.ts");
  software?: typeof import("./software_kernels.ts");
} = {};

/** Large kernels for GPUs, and for processors; undefined where no device asked for them yet. */
export const lazyKernels: Readonly<typeof loaded> = loaded;

/** Loads the kernels that only a device's kind runs; until then their variants are unfit. */
export async function loadKernelsFor({ software }: Pick<DeviceTraits, "software">): Promise<void> {
  if (!software) loaded.hardware ??= await import("./hardware_kernels.ts");
  else loaded.software ??= await import("./software_kernels.ts");
}

/** Why a variant cannot run whose kernel has not come. */
const notLoaded = "its kernel is not loaded";

/** Why sums over a workgroup cannot be left to its subgroups. */
export function unfitForSubgroupSum({ subgroupSize }: DeviceTraits): string | undefined {
  if (!subgroupSize) return "no fixed subgroup size";
  return unfitForHardware();
}

/** Why no large kernel for GPUs can run. */
export function unfitForHardware(): string | undefined {
  return loaded.hardware ? undefined : notLoaded;
}

/** Why no kernel for processors can run. */
export function unfitForSoftware(): string | undefined {
  return loaded.software ? undefined : notLoaded;
}

/** Why the kernels for processors that hand values round a subgroup cannot run. */
export function unfitForSubgroups({ subgroupSize }: Pick<DeviceTraits, "subgroupSize">): string | undefined {
  if (subgroupSize !== 4 && subgroupSize !== 8) return "no fixed subgroup size of 4 or 8";
  return unfitForSoftware();
}
