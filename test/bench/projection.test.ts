// The cascade at the paper's size: what it counts, and how its time follows from a step that was measured.
import { expect, it } from "vitest";
import { planLoop } from "../../bench/lab/loop.ts";
import { fullCascade, imagenSize } from "../../bench/lab/models.ts";
import { extrapolated, ratesOf } from "../../bench/lab/projection.ts";
import { costOf } from "../../src/graph/cost.ts";
import { readConfig } from "../../src/models/config.ts";
import { someTraits } from "../graph/graphs.ts";

const gpu = someTraits({ software: false });

it("has 2 thousand million parameters at the base and 3.6 in all, in configs that are valid", async () => {
  const parameters: number[] = [];
  for (const config of fullCascade) {
    expect(readConfig("config", JSON.stringify(config))).toEqual(config);
    const sizes = { storage: "f16", evaluations: config.cond_channels ? 1 : 2 } as const;
    const planned = await planLoop(gpu, config, sizes);
    expect(planned.plan.memory.lowerBound).toBeGreaterThan(0);
    parameters.push(planned.parameters / 1e9);
  }
  expect(parameters[0]).toBeCloseTo(2.1, 1);
  expect(parameters.reduce((sum, count) => sum + count, 0)).toBeCloseTo(3.6, 1);
});

it("takes as long as the step that was measured where the work is the same", async () => {
  const planned = await planLoop(gpu, imagenSize, { storage: "f16" });
  const profile = planned.plan.schedule.step.map((dispatch, i) => ({
    ...costOf(dispatch),
    label: "",
    op: dispatch.node.op.name,
    kernel: dispatch.choice.variant,
    milliseconds: 1 + (i % 3),
  }));
  const seconds = extrapolated(planned, ratesOf(profile, 12));
  expect(seconds.step).toBeCloseTo(12, 9);
  expect(seconds["short step"]).toBeLessThan(12);
});
