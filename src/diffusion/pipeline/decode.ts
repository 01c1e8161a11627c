// Latents to pictures: at once, or in tiles where the whole is too large for the device.
import { ReimagenError } from "../../errors.ts";
import type { TensorData } from "../../graph/executor.ts";
import { type Picture, picturesOf } from "../../io/picture.ts";
import { toRgba8 } from "../../ops/rgba8.ts";
import { addTile, cutTile, enlargedTiling, type Tiling, tileCount } from "./tiles.ts";

/** A decoded picture, as pixels and as values. */
export interface Decoded {
  readonly picture: Picture;
  /** [height, width, 3], in about [-1, 1]. */
  readonly values: Float32Array<ArrayBuffer>;
}

/**
 * Decodes a latent [h, w, C]. `run` decodes a latent of the tiling's tiles and gives its `values` and `picture`. Tiles are laid over each other
 * with linear slopes: the decoder's attention and group norms then see a tile for the whole, so that tones differ a little from those of a
 * picture decoded at once, without seams. Throws `not-finite`, and what `run` throws.
 */
export async function decodeLatent(
  latent: Float32Array<ArrayBuffer>,
  tiling: Tiling,
  scale: number,
  run: (latent: Float32Array<ArrayBuffer>) => Promise<readonly TensorData[]>,
): Promise<Decoded> {
  const extent = { height: tiling.rows.extent * scale, width: tiling.columns.extent * scale };
  if (tileCount(tiling) === 1) {
    const [values, words] = await run(latent);
    checkFinite(values!);
    return { picture: picturesOf(words!, extent)[0]!, values: values as Float32Array<ArrayBuffer> };
  }
  const values = new Float32Array(extent.height * extent.width * 3);
  const pixels = enlargedTiling(tiling, scale);
  for (const row of tiling.rows.starts.keys())
    for (const column of tiling.columns.starts.keys()) {
      const [decoded] = await run(cutTile(latent, tiling, row, column));
      checkFinite(decoded!);
      addTile(values, decoded!, pixels, row, column);
    }
  return { picture: pictureOf(values, extent), values };
}

function pictureOf(values: Float32Array, { height, width }: { height: number; width: number }): Picture {
  const given = { shape: [1, height, width, 3], data: Float64Array.from(values) };
  const words = toRgba8.reference([given], { shape: [1, height, width], dtype: "u32" }, {});
  return picturesOf(Uint32Array.from(words), { height, width })[0]!;
}

function checkFinite(values: TensorData): void {
  const at = values.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new ReimagenError("not-finite", `the decoded picture has ${values[at]} at value ${at}`);
}
