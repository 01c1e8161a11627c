// A gallery in which pictures form in their frames: one GPU device, one frame loop and one encoder for room and model.
import { adoptGpu, createEngine, type Generation } from "../../../index.ts";
import { fetchShipped, linkSource, neighborsOf, requestDevice, say, steps } from "../page.ts";
import { hung } from "./hung.ts";
import source from "./main.ts?raw";
import { createMeter } from "./meter.ts";
import { createRenderer, type FrameState, type Renderer } from "./renderer.ts";
import { places, titleCell } from "./room.ts";
import { createWalker } from "./walk.ts";

const canvas = document.querySelector("#room") as HTMLCanvasElement;
const form = document.querySelector("form") as HTMLFormElement;
const prompt = form.querySelector("input") as HTMLInputElement;
const button = form.querySelector("[type=submit]") as HTMLButtonElement;

linkSource(source);
requestDevice().then(openGallery).catch(say);

async function openGallery(device: GPUDevice): Promise<void> {
  // The engine moves in with an app that has a device of its own.
  const gpu = adoptGpu(device);
  const room = createRenderer(device, canvas);
  const walker = createWalker(canvas, { x: -2.6, z: 2.4, yaw: 0.75, pitch: 0.02 });
  const meter = createMeter(document.querySelector("#chart")!, document.querySelector("#meter")!);
  const frames = places.map(() => ({ lit: 0.3, filled: false }));
  // Milliseconds of each frame that the model may take. A GPU made of software is slow at both, room and model.
  const budget = gpu.traits.software ? 150 : 4;
  let forming: { generation: Generation; slot: number } | undefined;
  gpu.lost.then((error) => {
    forming = undefined;
    say(error);
  });

  // Each frame: a few milliseconds of the model, then the room, all in the app's own encoder.
  function frame(now: number, before: number): void {
    const encoder = device.createCommandEncoder();
    if (forming) {
      const { generation, slot } = forming;
      if (generation.encode(encoder, { budget }))
        generation.copyToTexture(encoder, room.pictures, { what: "estimate", origin: room.cell(slot) });
      frames[slot] = { lit: 0.3 + (0.7 * generation.step) / generation.steps, filled: generation.step > 0 };
    }
    fitToScreen(gpu.traits.software ? 0.4 : Math.min(devicePixelRatio, 2));
    room.draw(encoder, walker.step((now - before) / 1000, canvas.width / canvas.height), frames);
    device.queue.submit([encoder.finish()]);
    meter.frame(now - before, forming ? `step ${forming.generation.step} of ${forming.generation.steps}` : "");
    if (forming?.generation.finished) rest();
    requestAnimationFrame((next) => frame(next, now));
  }
  for (const [id, by] of Object.entries({ previous: -1, next: 1 }))
    document.getElementById(id)!.addEventListener("click", () => walker.tour(by));
  await openDoors(device, room, frames);
  requestAnimationFrame((now) => frame(now, now));

  const [files, database] = await fetchShipped();
  const engine = await createEngine(gpu, files);
  let nextSlot = hung.length;

  /** Starts a picture in the next frame, from the prompt and the two best neighbours in the database. */
  async function hang(text: string): Promise<void> {
    const slot = nextSlot;
    walker.goTo(slot);
    const neighbors = await neighborsOf(database, text);
    const generation = await engine.start(
      { prompt: text, neighbors, settings: { steps, seed: slot } },
      { onCompile: (done, total) => say(`Compiling kernels: ${done} of ${total}`) },
    );
    say(generation.warnings.join("; "));
    room.label(slot, text, `drawn after ${["words alone", "one neighbour", "two neighbours"][neighbors.length]}`);
    forming = { generation, slot };
    nextSlot = (slot + 1) % places.length;
    button.textContent = "Stop";
  }

  /** The picture stays as it is; all that its generation held is given back. */
  function rest(): void {
    forming?.generation.dispose();
    forming = undefined;
    button.textContent = "Hang it";
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (forming) return rest();
    button.disabled = true;
    await hang(prompt.value.trim()).catch(say);
    button.disabled = false;
  });
  button.disabled = false;
  say("");
}

/** Hangs what was drawn before, and puts up the title. */
async function openDoors(device: GPUDevice, room: Renderer, frames: FrameState[]): Promise<void> {
  room.label(titleCell, "Neighbours", "pictures of things, after pictures of things");
  for (const slot of places.keys())
    room.label(
      slot,
      hung[slot]?.prompt ?? "Empty frame",
      hung[slot] ? "drawn after two neighbours" : "waiting for words",
    );
  await Promise.all(
    hung.map(async ({ url }, slot) => {
      const source = await createImageBitmap(await (await fetch(url)).blob(), { colorSpaceConversion: "none" });
      const origin = room.cell(slot);
      device.queue.copyExternalImageToTexture({ source }, { texture: room.pictures, origin }, [
        source.width,
        source.height,
      ]);
      frames[slot] = { lit: 1, filled: true };
    }),
  );
}

function fitToScreen(density: number): void {
  const width = Math.max(1, Math.round(canvas.clientWidth * density));
  const height = Math.max(1, Math.round(canvas.clientHeight * density));
  // Even the same size, set again, would clear the canvas.
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
}
