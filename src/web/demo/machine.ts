// What the page runs on, in words: adapter, driver, and what each fast path that is off means for the user.
import type { Gpu } from "../../index.ts";
import type { FastPath, Machine } from "./protocol.ts";

/** The facts of a device. */
export function describeMachine({ info, traits }: Gpu): Machine {
  const { vendor, architecture, device, description } = info;
  const name = device || description || [vendor, architecture].filter(Boolean).join(" ") || "unnamed adapter";
  return {
    adapter: name,
    driver: [vendor, architecture, description].filter((word) => word && !name.includes(word)).join(", "),
    software: traits.software,
    inWorker: typeof document === "undefined",
    fastPaths: [
      fastPath(
        "Real GPU",
        !traits.software,
        "a step takes milliseconds",
        "this adapter computes on the CPU, so a step takes about a second; is hardware acceleration on in the browser’s settings?",
      ),
      fastPath(
        "Subgroups",
        traits.subgroupSize > 0,
        `lanes share what they load, ${traits.subgroupSize} at a time`,
        "each lane loads for itself: reading weights takes longer",
      ),
      fastPath(
        "Half floats",
        traits.shaderF16,
        "there if wanted; the page draws in f32, so that a link gives the same picture everywhere",
        "no shader-f16: no loss here, as the page draws in f32 so that a link gives the same picture everywhere",
      ),
      fastPath(
        "Matrix units",
        traits.subgroupMatrix,
        "large products can run on the GPU’s matrix units",
        "browsers offer them behind a flag only: large products run on the ordinary units",
      ),
      fastPath(
        "Timestamps",
        traits.timestamps,
        "kernels are timed by the GPU’s own clock",
        "kernels are timed by waiting for each, which adds what a submit costs",
      ),
    ],
  };
}

function fastPath(name: string, on: boolean, whenOn: string, whenOff: string): FastPath {
  return { name, on, words: on ? whenOn : whenOff };
}
