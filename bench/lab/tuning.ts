// Family `tuning`: how long tuning the shipped model takes, and whether what it chose is still the best when measured again.
import type { Tuned, Tuning } from "../../src/graph/tuning.ts";
import type { Lab } from "./lab.ts";
import { openLoop } from "./loop.ts";
import type { Cell, Section } from "./report.ts";
import { spreadOf } from "./statistics.ts";

/** So many times as long as the best may what was chosen take when it is measured again. */
const allowed = 1.05;

/** Tunes the steps twice, each time from nothing, and holds the choices of the first against the times of the second. */
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
  loop.dispose();
  const chosen = regrets(first.found, second.found);
  const late = chosen.filter(({ regret }) => regret > allowed);
  const spread = spreadOf(chosen.map(({ regret }) => regret));
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
          ["the same, worst", Math.max(...chosen.map(({ regret }) => regret)), "x"],
          [`kinds where it is above ${allowed}`, late.length, ""],
        ],
      },
      {
        caption: `Choices above ${allowed} times the best when measured again`,
        columns: ["kind", "chosen", "ms", "best", "ms", "x"],
        rows: late.map(({ kind, variant, ms, best, regret }): Cell[] => [
          ...[kind, variant, ms, best.variant, best.milliseconds],
          regret,
        ]),
      },
    ],
    notes: [
      `Two independent rounds: the choices of one against the times of the other, ${allowed} being what may be lost. On a busy machine times waver by more than that.`,
    ],
    measurements: [
      { name: "tuning with compiling", unit: "s", better: "less", ...spreadOf([cold.seconds]) },
      { name: "chosen over best", unit: "x", better: "less", ...spread },
    ],
  };
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

/** What the best of `chosen` take by the times of `measured`, kind by kind where there was a choice. */
export function regrets(chosen: Tuning, measured: Tuning): Regret[] {
  return [...chosen].flatMap(([kind, { ranking }]) => {
    const again = measured.get(kind)?.ranking ?? [];
    const [variant, best] = [ranking[0]?.variant, again[0]];
    const ms = again.find((entry) => entry.variant === variant)?.milliseconds;
    if (variant === undefined || ms === undefined || !best || again.length < 2) return [];
    return [{ kind, variant, ms, best, regret: ms / best.milliseconds }];
  });
}
