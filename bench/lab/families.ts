// The families that run wherever there is WebGPU: in Node, in a page, and from a folder on a bare machine.
import { ceilingsSection } from "./ceilings.ts";
import { generate } from "./generate.ts";
import type { Lab } from "./lab.ts";
import { ops } from "./ops.ts";
import { projection } from "./projection.ts";
import type { Section } from "./report.ts";
import { scaling } from "./scaling.ts";
import { scheduler } from "./scheduler.ts";
import { step } from "./step.ts";
import { tuning } from "./tuning.ts";

/** A family: what it measures, and how. */
export interface Family {
  readonly about: string;
  readonly run: (lab: Lab) => Promise<Section>;
}

/** By name, in the order in which they run. */
export const families: Readonly<Record<string, Family>> = {
  ceilings: {
    about: "what the adapter can do at most: multiply-adds, matrices, copies, dispatches, submits, readback",
    run: async (lab) => ceilingsSection(await lab.ceilings()),
  },
  ops: { about: "every op with all its kernels, checked, then timed", run: ops },
  step: { about: "one denoising step, by kernel, with its memory", run: step },
  scheduler: { about: "what a step costs the caller's thread, and that replays leave nothing behind", run: scheduler },
  tuning: { about: "how long tuning takes, and whether its choices stand when measured again", run: tuning },
  projection: {
    about: "what the cascade 64 -> 256 -> 1024 at 3.6 thousand million parameters takes, from steps measured here",
    run: projection,
  },
  generate: { about: "seconds a picture, end to end", run: generate },
  scaling: { about: "a step's growth with batch, side, width, neighbours and steps", run: scaling },
};
