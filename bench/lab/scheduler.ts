// Family `scheduler`: what a step costs the caller's thread, and that replaying it leaves nothing behind.
import type { Lab } from "./lab.ts";
import { openLoop } from "./loop.ts";
import { thin } from "./models.ts";
import { type Measurement, middleHalf, type Section, show } from "./report.ts";
import { type Spread, spreadOf } from "./statistics.ts";
import { memoryCells } from "./step.ts";

const REPLAYS = 1000;
/** Steps in flight at most; the wait for them is not counted. */
const FLIGHT = 20;
/** Of heap a step: what engine and garbage collector waver by over a thousand steps. */
const SLACK = 256;

/** Replays the shipped model's schedule over tiny tensors, and times encoding and submitting. */
export async function scheduler(lab: Lab): Promise<Section> {
  const { gpu, heap } = lab;
  const loop = await openLoop(gpu, thin(lab.config));
  const shipped = await openLoop(gpu, lab.config);
  const dispatches = loop.plan.schedule.step.length;
  const [planned, excess] = memoryCells(shipped.plan);
  const shippedDispatches = shipped.plan.schedule.step.length;
  shipped.dispose();
  loop.request();
  // The engine's compiler settles first; the array of times is there before the heap is measured.
  const times = new Float64Array(REPLAYS);
  await replay(lab, loop, times);
  const [heapBefore, bytesBefore] = [heap?.(), gpu.allocatedBytes];
  await replay(lab, loop, times);
  const [heapAfter, bytesAfter] = [heap?.(), gpu.allocatedBytes];
  await loop.check();
  loop.dispose();
  const us = spreadOf([...times]);
  const grown = heapBefore === undefined ? undefined : (heapAfter! - heapBefore) / REPLAYS;
  const deviceGrown = bytesAfter - bytesBefore;
  const perDispatch: Spread = {
    median: us.median / dispatches,
    low: us.low / dispatches,
    high: us.high / dispatches,
    least: us.least / dispatches,
    count: us.count,
  };
  const measurements: Measurement[] = [
    { name: "CPU a step", unit: "us", better: "less", ...us },
    { name: "CPU a dispatch", unit: "us", better: "less", ...perDispatch },
    { name: "dispatches a step", unit: "dispatches", better: "less", ...spreadOf([shippedDispatches]) },
    { name: "planned memory", unit: "MB", better: "less", ...spreadOf([planned]) },
  ];
  const failures = [
    ...(deviceGrown ? [`device memory grew by ${deviceGrown} bytes`] : []),
    ...(grown !== undefined && grown > SLACK ? [`the heap grew by ${grown.toFixed(0)} bytes a step`] : []),
  ];
  return {
    title: `Scheduler: ${REPLAYS} replays of the step`,
    tables: [
      {
        columns: ["what", "figure", "unit", "middle half"],
        rows: [
          ["encode and submit a step, not waiting", us.median, "us", middleHalf(us)],
          [`the same, a dispatch of ${dispatches}`, perDispatch.median, "us", middleHalf(perDispatch)],
          ["dispatches a step of the shipped model", shippedDispatches, "", ""],
          [
            "heap left behind a step",
            grown === undefined ? "cannot be told here" : grown,
            grown === undefined ? "" : "bytes",
            "",
          ],
          ["device memory left behind in all", deviceGrown, "bytes", ""],
          ["planned memory of the shipped model", planned, "MB", `${show(excess)}x the lower bound`],
        ],
      },
    ],
    notes: [
      `As many dispatches as the shipped model's step has, over tensors so small that the device keeps up; at most ${FLIGHT} steps in flight. On a software adapter the device computes on the caller's processor too.`,
      "Left behind: after a collection, over the last thousand replays.",
    ],
    measurements,
    ...(failures.length && { failure: failures.join("; ") }),
  };
}

/** Encodes and submits steps; microseconds of each into `times`. */
async function replay(
  { gpu }: Lab,
  loop: { encode(encoder: GPUCommandEncoder): void },
  times: Float64Array,
): Promise<void> {
  for (let i = 0; i < times.length; i++) {
    if (i % FLIGHT === 0) await gpu.idle();
    const start = performance.now();
    const encoder = gpu.device.createCommandEncoder();
    loop.encode(encoder);
    gpu.device.queue.submit([encoder.finish()]);
    times[i] = (performance.now() - start) * 1e3;
  }
  await gpu.idle();
}
