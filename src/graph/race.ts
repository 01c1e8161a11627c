// Which of several dispatches is fastest, on a machine that may do other work.
import type { Gpu } from "../gpu/gpu.ts";
import { PassTimer } from "../gpu/timing.ts";
import type { Dispatch } from "./executor.ts";

/** What takes so many times as long as the fastest in its first runs is not timed further. */
const hopeless = 3;
/** Milliseconds below which single runs tell nothing: by the device's clock, and by the wall clock, with what submitting and waiting take. */
const blur = { device: 0.1, wall: 3 };

/** Milliseconds of a batch: the device's clock ticks finely; waits by the wall clock end up to a millisecond late. */
const batch = { device: 4, wall: 20 };
const mostRuns = 1024;

/** A time, the least there was, is known once so many batches agree to within so much: what else the machine does only adds, and rarely the same. */
const agreeing = 3;
const agreement = 1.04;
/** Milliseconds after which the race ends without that. */
const patience = 500;
/** What is known to take so many times as long as the fastest is out. */
const beaten = 1.25;

/** Rounds that another than the usual dispatch must win at last, and by how much on the median. */
const duelRounds = 7;
const clearly = 1.03;

/** One dispatch's result. */
export interface Placed {
  /** In the list of dispatches. */
  readonly index: number;
  /** A run's. */
  readonly milliseconds: number;
}

/** A dispatch and its batches so far, milliseconds a run. */
interface Racer<Entry> {
  readonly dispatch: Entry;
  readonly runs: number;
  readonly times: number[];
}

/** Milliseconds a run, of so many in a batch. */
type Time<Entry> = (dispatch: Entry, runs: number) => Promise<number>;

/**
 * Times dispatches and ranks them: first the one to take, then by time. To take is `usual`, an index or -1, unless another is clearly faster in a
 * duel with it: what only seemed faster once must not replace what is known to be good.
 */
export async function race(gpu: Gpu, dispatches: readonly Dispatch[], usual: number): Promise<Placed[]> {
  // On a software adapter with its cores taken, the device's clock made worse choices than the wall clock.
  const clock = gpu.traits.timestamps && !gpu.traits.software ? "device" : "wall";
  const timer = new PassTimer(gpu, clock === "device");
  const time: Time<Dispatch> = async (dispatch, runs) => {
    const { device, wall } = await timer.time((pass) => encodeRuns(pass, dispatch, runs));
    // A clock that says nothing, or more than there was, is none.
    return (device && device <= wall ? device : wall) / runs;
  };
  try {
    return await rank(dispatches, usual, clock, time);
  } finally {
    timer.dispose();
  }
}

/** The race by `time`, which tells milliseconds a run of so many in a batch, as finely as `clock`. */
export async function rank<Entry>(
  dispatches: readonly Entry[],
  usual: number,
  clock: keyof typeof batch,
  time: Time<Entry>,
): Promise<Placed[]> {
  const first: number[] = [];
  for (const dispatch of dispatches) first.push(Math.min(await time(dispatch, 1), await time(dispatch, 1)));
  const most = hopeless * Math.max(Math.min(...first), blur[clock]);
  const racers = new Map<number, Racer<Entry>>();
  for (const [i, dispatch] of dispatches.entries())
    if (first[i]! <= most) racers.set(i, { dispatch, runs: await runsFor(batch[clock], dispatch, time), times: [] });
  await takeTurns([...racers.values()], time);
  const placed = dispatches
    .map((_, index): Placed => ({ index, milliseconds: Math.min(...(racers.get(index)?.times ?? [first[index]!])) }))
    .sort((a, b) => a.milliseconds - b.milliseconds);
  const [fastest] = placed;
  const known = racers.get(usual);
  if (!fastest || fastest.index === usual || !known) return placed;
  if (await standsOut(racers.get(fastest.index)!, known, time)) return placed;
  return [placed.find(({ index }) => index === usual)!, ...placed.filter(({ index }) => index !== usual)];
}

/** Encodes a dispatch so many times. */
export function encodeRuns(pass: GPUComputePassEncoder, { pipeline, group, workgroups }: Dispatch, runs: number): void {
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, group);
  for (let run = 0; run < runs; run++) pass.dispatchWorkgroups(workgroups[0], workgroups[1], workgroups[2]);
}

/** Runs that take so many milliseconds together. */
async function runsFor<Entry>(milliseconds: number, dispatch: Entry, time: Time<Entry>): Promise<number> {
  for (let runs = 1; ; ) {
    const each = await time(dispatch, runs);
    if (runs * each >= milliseconds / 1.5 || runs >= mostRuns) return runs;
    // At first most of it is what a submit takes.
    runs = Math.min(mostRuns, 16 * runs, Math.ceil(milliseconds / each));
  }
}

/** Takes batches in turns, so that what else the machine does falls on all, until the times of all that are still in the race are known. */
async function takeTurns<Entry>(racers: readonly Racer<Entry>[], time: Time<Entry>): Promise<void> {
  const begun = performance.now();
  let field = racers;
  for (let round = 0; round === 0 || !field.every(isKnown); round++) {
    if (round >= agreeing && performance.now() - begun > patience) return;
    for (const { dispatch, runs, times } of field) times.push(await time(dispatch, runs));
    const best = Math.min(...field.flatMap(({ times }) => times));
    field = field.filter((racer) => !isKnown(racer) || Math.min(...racer.times) <= beaten * best);
  }
}

function isKnown({ times }: Racer<unknown>): boolean {
  const sorted = times.toSorted((a, b) => a - b);
  return times.length >= agreeing && sorted[agreeing - 1]! <= agreement * sorted[0]!;
}

/** Whether one is clearly faster than another in rounds of the two alone: whatever slows the machine for longer slows both. */
async function standsOut<Entry>(challenger: Racer<Entry>, usual: Racer<Entry>, time: Time<Entry>): Promise<boolean> {
  const ratios: number[] = [];
  for (let round = 0; round < duelRounds; round++) {
    const own = await time(challenger.dispatch, challenger.runs);
    ratios.push((await time(usual.dispatch, usual.runs)) / own);
  }
  return ratios.sort((a, b) => a - b)[duelRounds >> 1]! > clearly;
}
