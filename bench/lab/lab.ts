// What every family is given: a device, a model, how long to measure, and where to say what goes on.

import type { ModelFiles } from "../../src/diffusion/engine.ts";
import type { NeighborPicture } from "../../src/diffusion/neighbors.ts";
import type { Gpu } from "../../src/gpu/gpu.ts";
import type { ModelConfig } from "../../src/models/config.ts";
import { type Ceilings, measureCeilings } from "./ceilings.ts";
import type { Sampling } from "./clock.ts";

/** The prompt of every family that draws. */
export const prompt = "a moose in the snow";

/** What the place where the lab runs (Node, a page, a folder on a bare machine) gives it. */
export interface Host {
  readonly gpu: Gpu;
  /** The shipped model's `config.json`. */
  readonly config: ModelConfig;
  /** The shipped model; absent where its weights were left behind. */
  readonly model?: ModelFiles;
  /** The best neighbours of `prompt`, at most eight; absent where there is no database: then pictures of noise serve. */
  readonly neighbors?: (k: number) => Promise<NeighborPicture[]>;
  /** Bytes of the JavaScript heap after a collection; absent where nobody can tell. */
  readonly heap?: () => number;
  /** Shows what goes on; not part of the findings. */
  readonly say: (line: string) => void;
}

/** What the user asked for. */
export interface LabOptions extends Sampling {
  /** Only cases whose name contains this. */
  readonly filter: string;
  /** Also what takes minutes on a software adapter. */
  readonly large: boolean;
}

/** A host, the user's wishes, and the ceilings, which are measured once. */
export interface Lab extends Host, LabOptions {
  ceilings(): Promise<Ceilings>;
}

/** A lab on this host. */
export function createLab(host: Host, options: LabOptions): Lab {
  let measured: Promise<Ceilings> | undefined;
  return {
    ...host,
    ...options,
    ceilings() {
      measured ??= measureCeilings(host.gpu, options, host.say);
      return measured;
    },
  };
}

/** Neighbours from the host's database, or pictures of noise: what a picture shows does not matter to its time. */
export async function neighborsOf({ neighbors, config }: Host, k: number): Promise<NeighborPicture[]> {
  if (neighbors) return neighbors(k);
  const { size } = config;
  return Array.from({ length: k }, (_, n) => ({
    caption: `a moose, number ${n + 1}`,
    picture: {
      width: size,
      height: size,
      pixels: Uint8ClampedArray.from({ length: size * size * 4 }, (_, i) =>
        i % 4 === 3 ? 255 : (i * 7919 * (n + 1)) % 251,
      ),
    },
  }));
}
