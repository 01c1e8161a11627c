// The smaller pictures that an upscaler starts from: as a request gives them, and as a graph enlarges and noises them.
import { ReimagenError } from "../errors.ts";
import type { TensorData } from "../graph/executor.ts";
import type { GraphBuilder, Value } from "../graph/graph.ts";
import { onWhite, type Picture } from "../io/picture.ts";
import { type ResizeAttributes, resize } from "../ops/resize.ts";
import { noised, noisingCoefficients } from "./noised.ts";
import { keyOf } from "./philox.ts";
import { checkInteger } from "./range.ts";
import type { AlphaSigma } from "./schedule.ts";

/** Pictures of one size as values in [-1, 1]. */
export interface LowPictures {
  readonly width: number;
  readonly height: number;
  /** [N, height, width, 3] */
  readonly values: Float32Array<ArrayBuffer>;
}

/** Height and width in pixels. */
export interface Extent {
  readonly height: number;
  readonly width: number;
}

/** Pictures as an upscaler takes them; transparency shows white. Throws `argument` where their sizes differ. */
export function lowPictures(pictures: readonly Picture[]): LowPictures {
  const { width, height } = pictures[0]!;
  const each = width * height * 3;
  const values = new Float32Array(pictures.length * each);
  pictures.forEach((picture, n) => {
    if (picture.width !== width || picture.height !== height)
      throw new ReimagenError("argument", "pictures to be upscaled together must have one size");
    values.set(onWhite(picture), n * each);
  });
  return { width, height, values };
}

/**
 * How many pictures a request of the model `name` is for: as many as there are smaller ones where it upscales, else those asked for, or one.
 * Throws `argument` where smaller pictures are missing, not wanted, or not as many values as they should be.
 */
export function countPictures(
  name: string,
  upscales: boolean,
  { low, pictures: asked }: { readonly low?: LowPictures; readonly pictures?: number },
): number {
  if (Boolean(low) !== upscales)
    throw new ReimagenError(
      "argument",
      low
        ? `${name} draws from a prompt, and cannot start from a smaller picture`
        : `${name} is an upscaler: it needs a smaller picture to start from`,
    );
  for (const side of low ? [low.width, low.height] : [])
    checkInteger("a side of the smaller picture", side, 1, Number.MAX_SAFE_INTEGER);
  const each = low && low.width * low.height * 3;
  const pictures = asked ?? (each ? low.values.length / each : 1);
  checkInteger("pictures", pictures, 1, Number.MAX_SAFE_INTEGER);
  if (each && low.values.length !== pictures * each)
    throw new ReimagenError(
      "argument",
      `${pictures} smaller pictures of ${low.width}x${low.height} have ${pictures * each} values, got ${low.values.length}`,
    );
  return pictures;
}

/** Keys the noise of the smaller picture apart from that of any step. */
const lowNoise = 2 ** 32 - 1;

/**
 * The smaller pictures as large as what is drawn, noised as diffusion does, alpha low + sigma noise, `before` or `after` they are enlarged:
 * [pictures, height, width, 3]. Inputs, per
 * request: `low` [pictures, h, w, 3] in [-1, 1], `low.key` u32 [pictures, 4], `low.coefficients` [8].
 */
export function noisedLow(
  g: GraphBuilder,
  { pictures, height, width }: Extent & { readonly pictures: number },
  low: Extent,
  mode: ResizeAttributes["mode"],
  noise: "before" | "after",
): Value {
  return g.scope("low", () => {
    const given = g.input("low", [pictures, low.height, low.width, 3], "request");
    const fits = low.height === height && low.width === width;
    const enlarged = (value: Value) => (fits ? value : g.apply(resize, [value], { height, width, mode }));
    const key = g.input("low.key", [pictures, 4], "request", "u32");
    const coefficients = g.input("low.coefficients", [8], "request");
    return noise === "before"
      ? enlarged(noised(g, given, key, coefficients))
      : noised(g, enlarged(given), key, coefficients);
  });
}

/** What is written into its inputs. */
export function lowInputs(
  { values }: LowPictures,
  noise: AlphaSigma,
  seeds: readonly number[],
): [name: string, data: TensorData][] {
  return [
    ["low", values],
    ["low.key", Uint32Array.from(seeds.flatMap((seed) => [...keyOf(seed), lowNoise, 0]))],
    ["low.coefficients", noisingCoefficients(noise)],
  ];
}
