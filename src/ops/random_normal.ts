// Standard normals from a counter: an element depends on its sample's seed and stream and on its own index, nothing else.
import boxMuller from "../../kernels/box_muller.wgsl";
import philox from "../../kernels/philox.wgsl";
import simple from "../../kernels/random_normal.simple.wgsl";
import vec4 from "../../kernels/random_normal.vec4.wgsl";
import { type Op, required, shapeError, sizeOf } from "./op.ts";
import { expectDtype } from "./operands.ts";
import { elementwise } from "./per_sample.ts";

/** Attributes of `randomNormal`. */
export interface RandomNormalAttributes {
  /** Shape of one sample, such as [64, 64, 3]. */
  readonly shape: readonly number[];
}

const name = "random_normal";

/**
 * Input: key [N, 4] u32: low and high word of the sample's seed, stream (one a draw from that seed, such as the step),
 * and a word that is not read. Output: [N, ...shape] f32.
 * Element e is word pair floor((e mod 4) / 2) of Philox 4x32-10 (Salmon et al., 2011) at counter (floor(e / 4), stream, 0, 0),
 * turned into a normal by Box & Muller (1958): cosine for even e, sine for odd.
 */
export const randomNormal: Op<RandomNormalAttributes> = {
  name,

  infer(inputs, { shape }) {
    const key = required(name, "key", inputs, 0);
    if (key.shape.length !== 2 || key.shape[1] !== 4) throw shapeError(name, "key", "[N, 4]", key.shape);
    expectDtype(name, "key", key, "u32");
    return { shape: [key.shape[0]!, ...shape], dtype: "f32" };
  },

  reference([key], output) {
    const y = new Float64Array(sizeOf(output));
    const size = y.length / key!.shape[0]!;
    for (let i = 0; i < y.length; i += 1) {
      const element = i % size;
      const [low, high, stream] = key!.data.subarray(Math.floor(i / size) * 4);
      const words = philox4x32([Math.floor(element / 4), stream!, 0, 0], [low!, high!]);
      const pair = element & 2;
      // Words become 24-bit fractions: u in (0, 1], so that its logarithm is finite, and the angle in [0, 2 pi).
      const radius = Math.sqrt(-2 * Math.log(((words[pair]! >>> 8) + 1) / 2 ** 24));
      const angle = (2 * Math.PI * (words[pair + 1]! >>> 8)) / 2 ** 24;
      y[i] = radius * (element & 1 ? Math.sin(angle) : Math.cos(angle));
    }
    return y;
  },

  variants: elementwise(
    name,
    { vec4: philox + boxMuller + vec4, simple: philox + boxMuller + simple },
    (_, __, size) => ({ bindings: ["read", "write"], constants: { SIZE: size } }),
  ),
};

type Words = readonly [number, number, number, number];

function philox4x32(counter: Words, [k0, k1]: readonly [number, number]): Words {
  let [a, b, c, d] = counter;
  for (let round = 0; round < 10; round++) {
    const [first, second] = [BigInt(a) * 0xd2511f53n, BigInt(c) * 0xcd9e8d57n];
    const roundKey = [k0 + round * 0x9e3779b9, k1 + round * 0xbb67ae85] as const;
    [a, b, c, d] = [
      (Number(second >> 32n) ^ b ^ roundKey[0]) >>> 0,
      Number(second & 0xffffffffn),
      (Number(first >> 32n) ^ d ^ roundKey[1]) >>> 0,
      Number(first & 0xffffffffn),
    ];
  }
  return [a, b, c, d];
}
