// Neighbours as a pipeline's U-Net should see them, made another way than the engine's: fitted, encoded, noised, each with its caption.
import type { Pipeline } from "../../src/diffusion/pipeline/pipeline.ts";
import { openCheckpoint, selectTensors } from "../../src/io/checkpoint.ts";
import { type Folder, subfolder } from "../../src/io/folder.ts";
import type { Picture } from "../../src/io/picture.ts";
import { vaeEncoder, vaeTensorName } from "../../src/models/diffusers/vae.ts";
import { fitPictureReference } from "../../src/ops/fit_picture.ts";
import { randomNormal } from "../../src/ops/random_normal.ts";
import { runGraph, type UnetExample } from "../models/run_diffusers.ts";

/** A picture of smooth colours that `hue` chooses, with holes that show white. */
export function somePicture(hue: number, width = 20, height = 12): Picture {
  const pixels = Uint8Array.from({ length: width * height * 4 }, (_, i) => {
    const [x, y, channel] = [Math.floor(i / 4) % width, Math.floor(i / 4 / width), i % 4];
    if (channel === 3) return (x * y) % 7 ? 255 : 60;
    return 128 + 127 * Math.sin(hue * (channel + 1) + x / 5 - y / 3);
  });
  return { width, height, pixels };
}

/** `states`: of prompt, other and captions, [2 + K, T, D]; `sigma`: of their noise, near the time. */
export async function shownNeighbors(
  pipeline: Pipeline,
  folder: Folder,
  pictures: readonly Picture[],
  states: Float32Array<ArrayBuffer>,
  { levels, time }: { levels: readonly number[]; time: number },
): Promise<NonNullable<UnetExample["neighbors"]>> {
  const { unet, vae, scheduler } = pipeline.definition;
  const side = 16;
  const samples: number[] = [];
  for (const { width, height, pixels } of pictures) {
    const texel = (x: number, y: number) => [0, 1, 2, 3].map((i) => pixels[(y * width + x) * 4 + i]! / 255);
    const fitted = fitPictureReference({ width, height, side: vae ? 4 * side : side }, texel);
    samples.push(...(vae ? await latentsOf(folder, pipeline, fitted) : fitted));
  }
  const extent = [side, side, unet.inputs];
  const key = { shape: [1, 4], data: Float64Array.of(0, 0, 2 ** 32 - 2, 0) };
  const noise = randomNormal.reference([key], { shape: [1, ...extent], dtype: "f32" }, { shape: extent });
  const alphaSquared = scheduler().schedule.alphaSquared[time]!;
  const noised = samples.map(
    (value, i) => Math.sqrt(alphaSquared) * value + Math.sqrt(1 - alphaSquared) * noise[i % noise.length]!,
  );
  const count = pictures.length;
  const row = states.length / (2 + count);
  return {
    ...{ levels, size: [side, side], time: Float32Array.of(time), texts: [count, row / unet.text.inputs] },
    sample: Float32Array.from(noised),
    text: states.slice(2 * row),
  };
}

/** The mean of the latents' distribution, scaled as Stable Diffusion has it. */
async function latentsOf(folder: Folder, { definition }: Pipeline, pixels: Float64Array): Promise<number[]> {
  const vae = definition.vae!;
  const encoder = selectTensors(await openCheckpoint(subfolder(folder, "vae")), (name) =>
    vaeTensorName("encoder", name),
  );
  const moments = await runGraph(
    "f32",
    encoder,
    (g) => vaeEncoder(g, vae, g.input("pictures", [1, 64, 64, 3], "request")),
    new Map([["pictures", Float32Array.from(pixels)]]),
  );
  return [...moments].filter((_, i) => i % 8 < 4).map((mean) => mean * 0.18215);
}
