// Family `startup` in Node: first pictures in fresh processes without shader caches, in turns with a peer's first step where there is one.
import type { NodeHost, NodeLab } from "./command.ts";
import type { Section } from "./lab/report.ts";
import { firstPicture, type Start, startupSection } from "./lab/startup.ts";
import { type Methods, startWorker } from "./worker.ts";

/** Turns off Mesa's and NVIDIA's caches of compiled shaders on disk. */
const noShaderCaches = { MESA_SHADER_CACHE_DISABLE: "true", __GL_SHADER_DISK_CACHE: "0" };

/** A start, and the Vulkan drivers that it ran on. */
export interface ProcessStart extends Start {
  readonly drivers: readonly string[];
}

/** What the module of a fresh process offers. */
export interface StartMethods extends Methods {
  start(): Promise<ProcessStart>;
}

/** An engine whose start is timed, by the module that makes it in a fresh process. */
export interface Starter {
  readonly engine: string;
  readonly module: URL;
  readonly argv: readonly string[];
}

/** The methods of a process that draws one picture on the host that `open` gives. */
export function drawFirst(open: () => Promise<NodeHost>): StartMethods {
  return {
    async start() {
      const imported = performance.now();
      const { laps, host } = await firstPicture(open);
      return { laps, imported, drivers: host.machine.drivers };
    },
  };
}

/** Starts each engine several times, in turns. Throws where they run on different drivers. */
export async function startup({ repeats, say }: NodeLab, starters: readonly Starter[]): Promise<Section> {
  const starts = starters.map((): ProcessStart[] => []);
  const rounds = Math.min(repeats, 3);
  for (let i = 0; i < rounds; i++)
    for (const [at, { engine, module, argv }] of starters.entries()) {
      say(`startup: ${engine}, ${i + 1} of ${rounds}`);
      const worker = startWorker<StartMethods>(module, { argv, environment: noShaderCaches });
      try {
        starts[at]!.push(await worker.call("start"));
      } finally {
        worker.stop();
      }
    }
  const drivers = new Set(starts.flat().map(({ drivers }) => drivers.join()));
  if (drivers.size > 1)
    throw new Error(`the engines run on different drivers, ${[...drivers].join(" and ")}: set VK_DRIVER_FILES`);
  return startupSection(
    starters.map(({ engine }, i) => ({ engine, starts: starts[i]! })),
    `Medians of ${rounds} fresh processes each, in turns; shader caches off, files in the system's cache.`,
  );
}
