// Family `tuning`: how long tuning the shipped model takes, whether its choices stand when measured again, and what it gains over choosing without.
import type { Plan } from "../../src/graph/compile.ts";
import { kindOf, type Tuned, type Tuning } from "../../src/graph/tuning.ts";
import type { Lab } from "./lab.ts";
import { type Loop, openLoop } from "./loop.ts";
import type { Cell, Section, Table } from "./report.ts";
import { type Spread, spreadOf } from "./statistics.ts";

/** So many times as long as the best may what was chosen take when it is measured again. */
const allowed = 1.05;

/** Tunes the steps, each time from nothing; holds the choices of one round, and those made without measurement, against the times of another. */
export async function tuning(lab: Lab): Promise<Section> {
  const loop = await openLoop(lab.gpu, lab.config);
  const tune = async (round: string) => {
    lab.say(`tuning: ${round}`);
    const start = performance.now();
    const found = await loop.tune();
    return { found, seconds: (performance.now() - start) / 1e3 };
  };
  // Compiles every kernel, so that the rounds that count measure alike.
  const cold = await tune("first, with compiling");
  const [first, second] = [await tune("second"), await tune("third")];
  const chosen = regrets(picks(first.found), second.found);
  const usual = regrets(usualPicks(loop.plan), second.found);
  const steps = await stepsBothWays(lab, loop, first.found);
  loop.dispose();
  const spread = spreadOf(chosen.map(({ regret }) => regret));
  const gain = steps.usual.median / steps.tuned.median;
  return {
    title: "Tuning: choices, measured again",
    tables: [
      {
        columns: ["what", "figure", "unit"],
        rows: [
          ["kinds of dispatches with a choice", chosen.length, ""],
          ["tuning with compiling", cold.seconds, "s"],
          ["tuning again", first.seconds, "s"],
          ["time of the chosen kernel over the best one's, median", spread.median, "x"],
          ["the same, worst", worst(chosen), "x"],
          [`kinds where it is above ${allowed}`, late(chosen).length, ""],
          ["the same of the kernel chosen without tuning, worst", worst(usual), "x"],
          [`kinds where that is above ${allowed}`, late(usual).length, ""],
          ["a step, untuned", steps.usual.median, "ms"],
          ["a step, tuned", steps.tuned.median, "ms"],
          ["gain by tuning", gain, "x"],
        ],
      },
      regretTable(`Tuned choices above ${allowed} times the best when measured again`, late(chosen)),
      regretTable(`Choices without tuning above ${allowed} times the best`, late(usual)),
    ].filter(({ rows }) => rows.length > 0),
    notes: [
      `Two independent rounds: the choices of one against the times of the other, ${allowed} being what may be lost. On a busy machine times waver by more than that.`,
      "Without tuning: by the order of the ops' kernels and what they say of adapter and shape, which is what everybody starts with. The steps take turns.",
    ],
    measurements: [
      { name: "tuning with compiling", unit: "s", better: "less", ...spreadOf([cold.seconds]) },
      { name: "chosen over best", unit: "x", better: "less", ...spread },
      { name: "step, untuned", unit: "ms", better: "less", ...steps.usual },
      { name: "step, tuned", unit: "ms", better: "less", ...steps.tuned },
    ],
  };
}

/** Steps by the usual kernels and by the tuned ones, in turns. */
async function stepsBothWays(lab: Lab, usual: Loop, found: Tuning): Promise<{ usual: Spread; tuned: Spread }> {
  lab.say("tuning: steps");
  const tuned = await openLoop(lab.gpu, lab.config, { tuning: found });
  const times: Record<"usual" | "tuned", number[]> = { usual: [], tuned: [] };
  const one = async (loop: Loop) => {
    const encoder = lab.gpu.device.createCommandEncoder();
    const start = performance.now();
    loop.encode(encoder);
    lab.gpu.device.queue.submit([encoder.finish()]);
    await lab.gpu.idle();
    return performance.now() - start;
  };
  for (const loop of [usual, tuned]) {
    loop.request();
    await one(loop);
  }
  for (let i = 0; i < lab.repeats; i++) {
    times.usual.push(await one(usual));
    times.tuned.push(await one(tuned));
  }
  await tuned.check();
  tuned.dispose();
  return { usual: spreadOf(times.usual), tuned: spreadOf(times.tuned) };
}

const worst = (list: readonly Regret[]) => Math.max(...list.map(({ regret }) => regret));
const late = (list: readonly Regret[]) => list.filter(({ regret }) => regret > allowed);

function regretTable(caption: string, list: readonly Regret[]): Table {
  return {
    caption,
    columns: ["kind", "chosen", "ms", "best", "ms", "x"],
    rows: list.map(({ kind, variant, ms, best, regret }): Cell[] => [
      ...[kind, variant, ms, best.variant, best.milliseconds],
      regret,
    ]),
  };
}

/** What a tuning chooses, by kind. */
export function picks(tuning: Tuning): ReadonlyMap<string, string> {
  return new Map([...tuning].flatMap(([kind, { ranking }]) => (ranking[0] ? [[kind, ranking[0].variant]] : [])));
}

/** What a plan made without tuning runs, by kind. */
function usualPicks({ schedule }: Plan): ReadonlyMap<string, string> {
  const steps = [...schedule.step, ...schedule["short step"]];
  return new Map(steps.map(({ node, choice }) => [kindOf(node), choice.variant]));
}

/** One kind's choice and what it loses. */
export interface Regret {
  readonly kind: string;
  readonly variant: string;
  readonly ms: number;
  readonly best: Tuned["ranking"][number];
  /** Times the best one's time. */
  readonly regret: number;
}

/** What the kernels in `chosen` take by the times of `measured`, kind by kind where there was a choice. */
export function regrets(chosen: ReadonlyMap<string, string>, measured: Tuning): Regret[] {
  return [...chosen].flatMap(([kind, variant]) => {
    const again = (measured.get(kind)?.ranking ?? []).toSorted((a, b) => a.milliseconds - b.milliseconds);
    const [best] = again;
    const ms = again.find((entry) => entry.variant === variant)?.milliseconds;
    if (ms === undefined || !best || again.length < 2) return [];
    return [{ kind, variant, ms, best, regret: ms / best.milliseconds }];
  });
}
