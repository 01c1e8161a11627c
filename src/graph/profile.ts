// Measures a run dispatch by dispatch.
import type { Gpu } from "../gpu/gpu.ts";
import { type Cost, costOf } from "./cost.ts";
import type { Executor } from "./executor.ts";
import type { Run } from "./graph.ts";

/** One dispatch, measured. */
export interface ProfiledDispatch extends Cost {
  /** Where in the model. */
  readonly label: string;
  readonly op: string;
  /** Which of the op's kernels ran. */
  readonly kernel: string;
  readonly milliseconds: number;
}

/**
 * Executes a run once with each dispatch in a pass of its own. Times come from the device's clock where it has timestamp queries, else from
 * waiting for each dispatch, which adds what a submit costs. Throws `device-lost`.
 */
export async function profileStage(gpu: Gpu, executor: Executor, run: Run): Promise<ProfiledDispatch[]> {
  if (executor.count(run) === 0) return [];
  const times = gpu.traits.timestamps
    ? await timesByDevice(gpu, executor, run)
    : await timesByWaiting(gpu, executor, run);
  return executor.plan.schedule[run].map((planned, i) => ({
    label: planned.node.label,
    op: planned.node.op.name,
    kernel: planned.choice.variant,
    milliseconds: times[i]!,
    ...costOf(planned),
  }));
}

async function timesByDevice(gpu: Gpu, executor: Executor, run: Run): Promise<number[]> {
  const { device } = gpu;
  const dispatches = executor.count(run);
  const bytes = dispatches * 2 * 8;
  const querySet = device.createQuerySet({ label: "profile", type: "timestamp", count: dispatches * 2 });
  const resolved = gpu.allocate("profile", bytes, GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC);
  try {
    const encoder = device.createCommandEncoder({ label: "profile" });
    for (let i = 0; i < dispatches; i++)
      executor.encode(run, encoder, {
        from: i,
        to: i + 1,
        timestamps: { querySet, beginningOfPassWriteIndex: 2 * i, endOfPassWriteIndex: 2 * i + 1 },
      });
    encoder.resolveQuerySet(querySet, 0, dispatches * 2, resolved, 0);
    device.queue.submit([encoder.finish()]);
    const nanoseconds = new BigUint64Array(await gpu.read(resolved, 0, bytes));
    return Array.from({ length: dispatches }, (_, i) => Number(nanoseconds[2 * i + 1]! - nanoseconds[2 * i]!) / 1e6);
  } finally {
    querySet.destroy();
    gpu.release(resolved);
  }
}

async function timesByWaiting(gpu: Gpu, executor: Executor, run: Run): Promise<number[]> {
  const times: number[] = [];
  await gpu.idle();
  for (let i = 0; i < executor.count(run); i++) {
    const encoder = gpu.device.createCommandEncoder({ label: "profile" });
    executor.encode(run, encoder, { from: i, to: i + 1 });
    const begun = performance.now();
    gpu.device.queue.submit([encoder.finish()]);
    await gpu.idle();
    times.push(performance.now() - begun);
  }
  return times;
}
