// The device that tests run on: Dawn in Node (SwiftShader from npm unless REIMAGEN_ADAPTER says otherwise), the page's own in a browser.
import { adoptGpu, type Gpu, requestGpu } from "../src/gpu/gpu.ts";
import { loadKernelsFor } from "../src/ops/lazy_kernels.ts";

export const inNode = typeof process !== "undefined" && Boolean(process.versions?.node);

let opened: Promise<Gpu> | undefined;

/** One device for the whole test file. */
export function testGpu(): Promise<Gpu> {
  opened ??= open().then(async (gpu) => {
    await loadKernelsFor(gpu.traits);
    return gpu;
  });
  return opened;
}

// Node runs without robust access, so that a stray index shows as a wrong result there; browsers always clamp.
async function open(): Promise<Gpu> {
  if (!inNode) return requestGpu();
  const dawnFile = "../src/node/dawn.ts";
  const { openDawn } = (await import(/* @vite-ignore */ dawnFile)) as typeof import("../src/node/dawn.ts");
  const choice = (process.env.REIMAGEN_ADAPTER ?? "software") as "software" | "gpu" | "auto";
  const dawn = await openDawn(choice);
  const gpu = await requestGpu(dawn.requestAdapter);
  keepAlive.push(dawn);
  return gpu;
}

// Dawn's devices do not keep their instance alive.
const keepAlive: unknown[] = [];

/** A device of its own, to be lost. */
export const ownGpu = open;

/** A second holder of the same device, as an app that hands its device over would make. */
export async function adoptedGpu(): Promise<Gpu> {
  return adoptGpu((await testGpu()).device);
}
