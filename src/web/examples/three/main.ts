// A picture on the material of a three.js scene, forming while the object turns: both work on one GPU device.
import { ExternalTexture, SRGBColorSpace, WebGPURenderer } from "three/webgpu";
import { adoptGpu, createEngine, type Generation } from "../../../index.ts";
import { fetchShipped, linkSource, neighborsOf, requestDevice, say, steps } from "../page.ts";
import source from "./main.ts?raw";
import { createStage, type Shape } from "./stage.ts";

const canvas = document.querySelector("canvas") as HTMLCanvasElement;
const form = document.querySelector("form") as HTMLFormElement;
const prompt = form.querySelector("input") as HTMLInputElement;
const shape = form.querySelector("select") as HTMLSelectElement;
const button = form.querySelector("[type=submit]") as HTMLButtonElement;

linkSource(source);
main().catch(say);

async function main(): Promise<void> {
  // One device for both: three.js takes it as an option, the engine adopts it.
  const device = await requestDevice();
  const gpu = adoptGpu(device);
  const renderer = new WebGPURenderer({ device, canvas, antialias: true, alpha: true });
  await renderer.init();
  const stage = createStage(renderer);
  // Milliseconds of each frame that the model may take. A GPU made of software is slow at both, scene and model.
  const budget = gpu.traits.software ? 150 : 4;

  let generation: Generation | undefined;
  let picture: GPUTexture | undefined;
  gpu.lost.then((error) => {
    generation = undefined;
    say(error);
  });
  renderer.setAnimationLoop((now) => {
    if (generation && picture) {
      const encoder = device.createCommandEncoder();
      if (generation.encode(encoder, { budget })) {
        generation.copyToTexture(encoder, picture, { what: "estimate" });
        say(`Step ${generation.step} of ${generation.steps}`);
      }
      device.queue.submit([encoder.finish()]);
      if (generation.finished) rest();
    }
    stage.render(now);
  });

  const [files, database] = await fetchShipped();
  const engine = await createEngine(gpu, files);

  async function draw(text: string): Promise<void> {
    const neighbors = await neighborsOf(database, text);
    const started = await engine.start({ prompt: text, neighbors, settings: { steps } });
    if (!picture) {
      // The texture that shaders of the scene read is the one that pictures are copied to.
      picture = started.createTexture({ usage: GPUTextureUsage.TEXTURE_BINDING, format: "rgba8unorm-srgb" });
      const map = new ExternalTexture(picture);
      map.colorSpace = SRGBColorSpace;
      stage.wear(map);
    }
    generation = started;
    button.textContent = "Stop";
    say(`Step 0 of ${steps}`);
  }

  function rest(): void {
    generation?.dispose();
    generation = undefined;
    button.textContent = "Draw";
    say("");
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (generation) return rest();
    button.disabled = true;
    await draw(prompt.value.trim()).catch(say);
    button.disabled = false;
  });
  shape.addEventListener("change", () => stage.show(shape.value as Shape));
  button.disabled = false;
  say("");
}
