// How long dispatches take: by the device's clock where it can be trusted, else by the wall clock over long batches.
import type { Gpu } from "../../src/gpu/gpu.ts";
import { PassTimer } from "../../src/gpu/timing.ts";
import { median, type Spread, spreadOf } from "./statistics.ts";

/** Encodes one run of what is timed into a pass. */
export type Encode = (pass: GPUComputePassEncoder) => void;

/** How to time on a device. */
export interface Clock {
  readonly kind: "timestamps" | "wall";
  /** Why this one. */
  readonly why: string;
  /** Milliseconds from submitting next to nothing to knowing that it is done; subtracted from wall times. */
  readonly submitMs: number;
}

/** How a sample is taken. */
export interface Sampling {
  /** How many batches are timed. */
  readonly repeats: number;
  /** Milliseconds that all batches together should take at most; three are timed whatever they take. */
  readonly budget: number;
}

/** Least length of a batch, ms: the device's clock ticks finely, the wall clock sees the scheduler of the system. */
const batchMs = { timestamps: 4, wall: 20 };
/** More dispatches than this in a pass make recording the pass the measurement. */
const mostRuns = 4096;
/** How far the two clocks may differ over the same work. */
const TOLERANCE = 0.15;

/** Chooses the clock by timing the same work, and twice as much, by both; `work` is to take some 20 ms. */
export async function findClock(gpu: Gpu, work: Encode): Promise<Clock> {
  const submitMs = await roundTrip(gpu);
  const wall = { kind: "wall", submitMs } as const;
  if (!gpu.traits.timestamps) return { ...wall, why: "the device has no timestamp queries" };
  const twice: Encode = (pass) => {
    work(pass);
    work(pass);
  };
  await both(gpu, work);
  const ratios: number[] = [];
  const growths: number[] = [];
  for (let i = 0; i < 5; i++) {
    const once = await both(gpu, work);
    const double = await both(gpu, twice);
    ratios.push(once.device / Math.max(once.wall - submitMs, 1e-6));
    growths.push(double.device / once.device);
  }
  const [ratio, growth] = [median(ratios), median(growths)];
  const seen = `its clock saw ${(ratio * 100).toFixed(0)}% of the wall clock's time, and ${growth.toFixed(2)}x for twice the work`;
  const trusted = Math.abs(ratio - 1) < TOLERANCE && Math.abs(growth / 2 - 1) < TOLERANCE;
  return trusted
    ? { kind: "timestamps", submitMs, why: seen }
    : { ...wall, why: `timestamps are not trusted: ${seen}` };
}

/** Milliseconds of one run: batches of as many runs as make a batch long enough, in one pass each. The first run warms up. */
export async function sample(gpu: Gpu, clock: Clock, run: Encode, { repeats, budget }: Sampling): Promise<Spread> {
  const timer = new PassTimer(gpu, clock.kind === "timestamps");
  const time = async (runs: number) => {
    const { device, wall } = await timer.time((pass) => {
      for (let i = 0; i < runs; i++) run(pass);
    });
    return Math.max(device ?? wall - clock.submitMs, 1e-4);
  };
  try {
    let runs = 1;
    let taken = await time(1);
    // The first run compiles and fills caches; a second tells.
    taken = Math.min(taken, await time(1));
    while (taken < batchMs[clock.kind] && runs < mostRuns) {
      runs = Math.min(
        mostRuns,
        Math.max(runs * 2, Math.ceil((1.2 * runs * batchMs[clock.kind]) / Math.max(taken, 1e-3))),
      );
      taken = await time(runs);
    }
    const count = Math.max(3, Math.min(repeats, Math.floor(budget / taken)));
    const times: number[] = [];
    for (let i = 0; i < count; i++) times.push((await time(runs)) / runs);
    return spreadOf(times);
  } finally {
    timer.dispose();
  }
}

/** Milliseconds from a submit with next to nothing in it until it is known to be done. */
export async function roundTrip(gpu: Gpu): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < 25; i++) {
    const commands = gpu.device.createCommandEncoder().finish();
    const start = performance.now();
    gpu.device.queue.submit([commands]);
    await gpu.idle();
    times.push(performance.now() - start);
  }
  return median(times);
}

async function both(gpu: Gpu, work: Encode): Promise<{ device: number; wall: number }> {
  const timer = new PassTimer(gpu, true);
  try {
    const { device, wall } = await timer.time(work);
    return { device: device!, wall };
  } finally {
    timer.dispose();
  }
}
