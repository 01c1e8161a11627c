// What neighbours cost a step, and what memory a plan takes: npm run bench:k -- [--adapter gpu|software] [--repeats N] [--out].
// Compares the step's dispatches for different k, prints every difference, and times the steps.
import { parseArgs } from "node:util";
import type { Engine } from "../src/diffusion/engine.ts";
import type { GenerationRequest } from "../src/diffusion/request.ts";
import { assemble } from "../src/gpu/kernel.ts";
import type { Plan } from "../src/graph/compile.ts";
import { busyShare, describeMachine } from "./machine.ts";
import { type Cell, median, publish, quantile } from "./report.ts";
import { benchAdapter, neighborsFor, openEngine, openGpu, openNeighbors, positiveInteger } from "./shipped.ts";

const prompt = "a moose in the snow";
const counts = [0, 1, 2, 8];
/** Steps of a generation; the first is not timed, as it carries the request's own work. */
const STEPS = 4;

const { values } = parseArgs({
  options: {
    adapter: { type: "string", default: "software" },
    repeats: { type: "string", default: "5" },
    out: { type: "boolean", default: false },
  },
});
const busy = await busyShare();
const { dawn, gpu } = await openGpu(benchAdapter(values.adapter));
const machine = await describeMachine(gpu);
console.log(`k = ${counts.join(", ")} on ${dawn.adapter.info.description}`);
const engine = await openEngine(gpu);
const neighbors = await neighborsFor(await openNeighbors(), prompt, Math.max(...counts));
// Text-only guidance shows the neighbours to both evaluations: the most that k can cost.
const requests = counts.map(
  (k): GenerationRequest => ({
    prompt,
    neighbors: neighbors.slice(0, k),
    settings: { steps: STEPS, guidance: { mode: "text-only" } },
  }),
);
const plans = requests.map((request) => engine.plan(request));
const differences = counts.slice(1).flatMap((k, i) => differencesOf(plans[0]!, plans[i + 1]!, k));
for (const difference of differences) console.log(difference);
const times = await timeSteps(engine, requests, positiveInteger("--repeats", values.repeats));
const base = median(times[0]!);
const [first, second] = [times[0]!, times[counts.indexOf(2)]!];
const growth = median(second) / base - 1;
const leastGrowth = Math.min(...second) / Math.min(...first) - 1;

await publish(
  {
    bench: "k",
    busy,
    title: "The denoising step by number of neighbours k, batch 2, f32",
    machine,
    table: {
      columns: [
        "k",
        "step ms",
        "middle half",
        "least",
        "x k = 0",
        "dispatches",
        "memory MB",
        "lower bound MB",
        "x bound",
      ],
      rows: counts.map((k, i): Cell[] => {
        const { planned, bound } = memoryOf(plans[i]!);
        const spread = `${quantile(times[i]!, 0.25).toFixed(0)}-${quantile(times[i]!, 0.75).toFixed(0)}`;
        const step = median(times[i]!);
        return [
          k,
          step,
          spread,
          Math.min(...times[i]!),
          step / base,
          plans[i]!.schedule.step.length,
          planned / 1e6,
          bound / 1e6,
          planned / bound,
        ];
      }),
    },
    notes: [
      differences.length
        ? `The step's dispatch lists **differ** in ${differences.length} places: ${differences.slice(0, 3).join("; ")}.`
        : `The step's ${plans[0]!.schedule.step.length} dispatches are **the same** for every k: kernels, labels and workgroups.`,
      `From k = 0 to k = 2 the step's time grows by **${(growth * 100).toFixed(1)}%** by medians, ${(leastGrowth * 100).toFixed(1)}% by the least; both evaluations see all neighbours; ${first.length} steps of each k, generations in turns.`,
      "Memory: intermediate tensors of the whole plan, whose stages share it; lower bound: the largest set of tensors alive at once, over all stages.",
    ],
    figures: {
      growth,
      leastGrowth,
      ...Object.fromEntries(
        counts.flatMap((k, i) => [
          [`step.k${k}`, median(times[i]!)],
          [`memory.k${k}`, memoryOf(plans[i]!).planned / memoryOf(plans[i]!).bound],
        ]),
      ),
    },
  },
  values.out,
);
engine.dispose();
process.exit(differences.length ? 1 : 0);

/** Milliseconds of single steps for each request; the requests take turns. */
async function timeSteps(engine: Engine, requests: readonly GenerationRequest[], repeats: number): Promise<number[][]> {
  const times = requests.map((): number[] => []);
  for (const request of requests) await engine.generate(request);
  for (let i = 0; i < repeats; i++)
    for (const [at, request] of requests.entries()) {
      let last = 0;
      await engine.generate(request, {
        onStep: async (done) => {
          await engine.gpu.idle();
          const now = performance.now();
          if (done > 1) times[at]!.push(now - last);
          last = now;
        },
      });
    }
  return times;
}

function differencesOf(base: Plan, other: Plan, k: number): string[] {
  const describe = (plan: Plan) =>
    plan.schedule.step.map(({ node, choice }) => ({
      name: `${node.label} ${choice.variant} ${choice.launch.workgroups.join("x")}`,
      kernel: assemble(choice.launch.kernel),
    }));
  const [a, b] = [describe(base), describe(other)];
  return Array.from({ length: Math.max(a.length, b.length) }, (_, i) => {
    if (a[i]?.name !== b[i]?.name) return `dispatch ${i}: ${a[i]?.name} at k = 0, ${b[i]?.name} at k = ${k}`;
    return a[i]!.kernel === b[i]!.kernel ? "" : `dispatch ${i}: ${a[i]!.name} is specialised otherwise at k = ${k}`;
  }).filter(Boolean);
}

function memoryOf({ memory }: Plan): { planned: number; bound: number } {
  return { planned: memory.arenas.reduce((sum, bytes) => sum + bytes, 0), bound: memory.lowerBound };
}
