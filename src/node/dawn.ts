// Dawn in Node: finds a real GPU where there is one, else the software adapter.
import { ReimagenError } from "../errors.ts";
import type { RequestAdapter } from "../gpu/gpu.ts";
import { pollIdly } from "./polling.ts";
import { useSoftwareAdapter } from "./software-adapter.ts";

/** Which adapter to take: a real one if there is one (`auto`), only the system's (`gpu`), or SwiftShader from npm (`software`). */
export type AdapterChoice = "auto" | "gpu" | "software";

// Without the first two NVIDIA on Vulkan has no shader-f16 and no subgroup matrices; without the last, timestamps round to 65 us.
const flags = [
  "enable-dawn-features=allow_unsafe_apis,vulkan_enable_f16_on_nvidia,disable_robustness",
  "disable-dawn-features=timestamp_quantization",
];

/**
 * A `GPU` as in a browser's `navigator.gpu`, with its adapter already chosen.
 * Keep the object referenced while its devices live (Dawn does not); drop it so that Node can exit.
 */
export interface DawnGpu {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  /** Finds the adapter anew, for `requestGpu`: one adapter gives one device. */
  readonly requestAdapter: RequestAdapter;
}

/** Throws `no-adapter`, naming what was tried. `toggles` are further Dawn features to enable, for measurements. */
export async function openDawn(choice: AdapterChoice = "auto", toggles: readonly string[] = []): Promise<DawnGpu> {
  const { create, globals } = await import("webgpu");
  Object.assign(globalThis, globals);
  pollIdly(globals);
  const options = toggles.length ? [`${flags[0]},${toggles.join(",")}`, flags[1]] : flags;
  if (choice !== "software") {
    const found = await firstAdapter(create(options));
    if (found) return found;
    if (choice === "gpu") throw new ReimagenError("no-adapter", "no GPU adapter was found by Dawn on this system");
  }
  await useSoftwareAdapter();
  const found = await firstAdapter(create(options));
  if (!found) throw new ReimagenError("no-adapter", "Dawn refuses the software adapter (SwiftShader) on this system");
  return found;
}

async function firstAdapter(gpu: GPU): Promise<DawnGpu | undefined> {
  const requestAdapter = () => gpu.requestAdapter({ powerPreference: "high-performance" });
  const adapter = await requestAdapter().catch(() => null);
  return adapter ? { gpu, adapter, requestAdapter } : undefined;
}
