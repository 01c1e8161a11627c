// Reaches the studio: in a worker where canvases can be handed to one and it has WebGPU, else on the page itself.
import { proxy, transfer, wrap } from "comlink";
import type { StudioCanvas } from "./canvases.ts";
import type { CanvasName, StudioEvent } from "./protocol.ts";
import type { Studio } from "./studio.ts";

type Reply<F> = F extends (...given: infer A) => infer R ? (...given: A) => Promise<Awaited<R>> : never;

/** The studio as the page calls it, wherever it is. */
export type RemoteStudio = { readonly [K in keyof Studio]: Reply<Studio[K]> };

/** Opens the studio, whose canvases are these from now on, with so many tiles in a row of the contact sheet. */
export async function connectStudio(
  canvases: Record<CanvasName, HTMLCanvasElement>,
  columns: number,
  onEvent: (event: StudioEvent) => void,
): Promise<RemoteStudio> {
  const worker = await openWorker();
  if (worker) {
    const names = Object.keys(canvases) as CanvasName[];
    const handed = names.map((name) => [name, canvases[name].transferControlToOffscreen()] as const);
    const given = Object.fromEntries(handed) as Record<CanvasName, StudioCanvas>;
    await worker.attach(
      transfer(
        given,
        handed.map(([, canvas]) => canvas),
      ),
      columns,
    );
    await worker.listen(proxy(onEvent));
    return worker;
  }
  const { createStudio } = await import("./studio.ts");
  const studio = createStudio();
  studio.attach(canvases, columns);
  studio.listen(onEvent);
  const replies = Object.entries(studio).map(([name, call]) => [
    name,
    async (...given: never[]) => (call as (...given: never[]) => unknown)(...given),
  ]);
  return Object.fromEntries(replies) as RemoteStudio;
}

async function openWorker(): Promise<RemoteStudio | undefined> {
  if (!HTMLCanvasElement.prototype.transferControlToOffscreen) return undefined;
  const worker = new Worker(new URL("./studio.worker.ts", import.meta.url), { type: "module", name: "studio" });
  const studio = wrap<Studio>(worker) as unknown as RemoteStudio;
  const broken = new Promise<undefined>((resolve) => {
    worker.addEventListener("error", () => resolve(undefined), { once: true });
  });
  const hasGpu = await Promise.race([studio.hasGpu(), broken]);
  // Some browsers have WebGPU on pages only; where no one has it, the worker still retrieves.
  if (hasGpu || (hasGpu === false && !navigator.gpu)) return studio;
  worker.terminate();
  return undefined;
}
