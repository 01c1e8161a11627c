// Waiting for Dawn: its turns come, nobody else sees another `setImmediate`, and a long wait does not take a core.
import { expect, it } from "vitest";
import { pollIdly } from "../../src/node/polling.ts";

/** As Dawn's binding waits: it asks for its next turn by the global `setImmediate` until so many milliseconds have passed. */
function classesThatTake(milliseconds: number) {
  const seen = { turns: 0, schedulers: new Set<unknown>() };
  class GPUQueue {
    onSubmittedWorkDone(): Promise<void> {
      const end = performance.now() + milliseconds;
      return new Promise((resolve) => {
        const turn = () => {
          seen.turns++;
          seen.schedulers.add(globalThis.setImmediate);
          if (performance.now() < end) globalThis.setImmediate(turn);
          else resolve();
        };
        turn();
      });
    }
  }
  class GPUBuffer {
    mapAsync(): Promise<void> {
      throw new TypeError("not a mode");
    }
  }
  class GPUDevice {
    createComputePipelineAsync() {}
    createRenderPipelineAsync() {}
    popErrorScope() {}
  }
  const classes = { GPUQueue, GPUBuffer, GPUDevice };
  pollIdly(classes);
  return { classes, seen };
}

it("gives a wait its turns, far fewer than the event loop would have", async () => {
  const { classes, seen } = classesThatTake(100);
  const { setImmediate } = globalThis;
  const done = new classes.GPUQueue().onSubmittedWorkDone();
  expect(globalThis.setImmediate).toBe(setImmediate);
  let others = 0;
  const other = setInterval(() => {
    expect(globalThis.setImmediate).toBe(setImmediate);
    others++;
  }, 1);
  await done;
  clearInterval(other);
  expect(others).toBeGreaterThan(0);
  expect(seen.schedulers.has(setImmediate)).toBe(false);
  // A loop without pauses takes some ten thousand turns in the time.
  expect(seen.turns).toBeGreaterThan(3);
  expect(seen.turns).toBeLessThan(5000);
});

it("leaves setImmediate as it was when a call throws, and wraps once", () => {
  const { classes } = classesThatTake(1);
  const { setImmediate } = globalThis;
  const { mapAsync } = classes.GPUBuffer.prototype;
  pollIdly(classes);
  expect(classes.GPUBuffer.prototype.mapAsync).toBe(mapAsync);
  expect(() => new classes.GPUBuffer().mapAsync()).toThrow("not a mode");
  expect(globalThis.setImmediate).toBe(setImmediate);
});
