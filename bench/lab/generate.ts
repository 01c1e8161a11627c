// Family `generate`: seconds a picture, from request to pixels on the CPU, through the public engine.
import { createEngine } from "../../src/diffusion/engine.ts";
import { type Lab, neighborsOf, prompt } from "./lab.ts";
import { type Cell, type Measurement, middleHalf, type Section } from "./report.ts";
import { spreadOf } from "./statistics.ts";

const neighborCounts = [0, 2];

/** Draws with k = 0 and 2 for several numbers of steps. Throws where the host has no weights. */
export async function generate(lab: Lab): Promise<Section> {
  const { gpu, model, repeats, budget } = lab;
  if (!model) throw new Error("the weights of the shipped model are not here");
  const steps = gpu.traits.software && !lab.large ? [4, 8] : [4, 8, 20, 50];
  const engine = await createEngine(gpu, model);
  const neighbors = await neighborsOf(lab, Math.max(...neighborCounts));
  const rows: Cell[][] = [];
  const measurements: Measurement[] = [];
  for (const k of neighborCounts)
    for (const count of steps) {
      lab.say(`generate: k = ${k}, ${count} steps`);
      const request = { prompt, neighbors: neighbors.slice(0, k), settings: { steps: count, seed: 1 } };
      const draw = async () => {
        const start = performance.now();
        const { pictures } = await engine.generate(request);
        const seconds = (performance.now() - start) / 1e3;
        if (pictures[0]!.pixels.every((value) => value === pictures[0]!.pixels[0]))
          throw new Error("the picture is blank");
        return seconds;
      };
      const first = await draw();
      const runs = Math.max(3, Math.min(repeats, Math.floor((8 * budget) / 1e3 / first)));
      const times: number[] = [];
      for (let i = 0; i < runs; i++) times.push(await draw());
      const seconds = spreadOf(times);
      rows.push([k, count, seconds.median, middleHalf(seconds), (seconds.median / count) * 1e3]);
      measurements.push({ name: `k = ${k}, ${count} steps`, unit: "s", better: "less", ...seconds });
    }
  engine.dispose();
  return {
    title: "Generate: one picture, end to end",
    tables: [{ columns: ["k", "steps", "s", "middle half", "ms a step"], rows }],
    notes: [
      "From the request to pixels on the CPU, on a warm engine: texts and neighbours are encoded, every step is taken, the picture is read back and checked for finite values.",
      `DPM-Solver++ with guidance, batch 2; neighbours are ${lab.neighbors ? "those that the database gives for the prompt" : "pictures of noise, as there is no database here"}.`,
    ],
    measurements,
  };
}
