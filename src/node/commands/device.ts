// Opens what a command runs on, and gives it back however the command ends.
import { ReimagenError } from "../../errors.ts";
import { type Gpu, requestGpu } from "../../gpu/gpu.ts";
import { type AdapterChoice, type DawnGpu, openDawn } from "../dawn.ts";

// Dawn's devices do not keep their instance alive.
const open = new Set<DawnGpu>();

/** Runs `use` with a device. Throws what `use` throws, `no-adapter`, and `limit` when the device runs out of memory. */
export async function withGpu<T>(adapter: AdapterChoice, use: (gpu: Gpu, dawn: DawnGpu) => Promise<T>): Promise<T> {
  const dawn = await openDawn(adapter);
  open.add(dawn);
  const gpu = await requestGpu(dawn.requestAdapter);
  try {
    return await Promise.race([use(gpu, dawn), failureOf(gpu.device)]);
  } finally {
    gpu.dispose();
    open.delete(dawn);
  }
}

/** What the adapter is called. */
export function adapterName({ description, device, vendor, architecture }: GPUAdapterInfo): string {
  return description || device || `${vendor} ${architecture}`.trim();
}

// Rejects when the device reports an error; otherwise never settles.
function failureOf(device: GPUDevice): Promise<never> {
  return new Promise((_, reject) => {
    device.addEventListener("uncapturederror", ({ error }) => {
      const exhausted = error instanceof GPUOutOfMemoryError;
      reject(
        exhausted
          ? new ReimagenError("limit", `the GPU has too little memory: ${error.message}`)
          : Error(error.message),
      );
    });
  });
}
